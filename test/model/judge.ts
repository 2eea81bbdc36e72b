import type { Answer } from './answers.ts';
import { nextChunk, restOf } from './chunks.ts';
import type { Opened } from './perform.ts';
import { blobAt, digestAt, manifestAt, reasonOf, referenceOf, repositoryAt, tagAt } from './places.ts';
import { deleteBlob, deleteManifest, deleteTag } from './reference/deletes.ts';
import { pin, unpin } from './reference/pins.ts';
import { pulled, pullsEnd } from './reference/pulls.ts';
import { isKeptOut, lift, purge } from './reference/purges.ts';
import { linkBlob, promiseBlob, promiseManifest, put } from './reference/pushes.ts';
import type { Reference } from './reference/reference.ts';
import { judgeTag, retireTag, tagAskedFor } from './reference/retire.ts';
import { emptyTrash, restoreManifest, restoreTag } from './reference/trash.ts';
import type { Action } from './schedule.ts';

/** The answer that the model expects; from then on it counts on it. */
export function judge(model: Reference, action: Action, opened: Opened, now: number): Answer {
  switch (action.do) {
    case 'push blob':
      if (isKeptOut(model, blobAt(action.blob).digest)) return 'blocked';
      linkBlob(model, repositoryAt(action.repo), blobAt(action.blob).digest, now);
      return 'created';
    case 'open upload':
      model.uploads.delete(action.slot);
      if (opened.id !== undefined) {
        const repo = repositoryAt(action.repo);
        // It may be over before anybody looks at what uploads there are.
        model.in(repo).uploadedAt = now;
        model.uploads.set(action.slot, {
          id: opened.id,
          repo,
          openedAt: now,
          touchedAt: now,
          bytes: [],
          done: undefined,
        });
      }
      return 'opened';
    case 'send chunk': {
      const upload = model.uploads.get(action.slot);
      if (upload === undefined) return 'nothing to do';
      if (upload.done !== undefined) return 'done';
      const chunk = nextChunk(upload.bytes, blobAt(action.blob).bytes);
      upload.bytes = [...upload.bytes, chunk];
      upload.touchedAt = now;
      return 'appended';
    }
    case 'close upload':
      return judgeClose(model, action.slot, action.blob, now);
    case 'cancel upload': {
      const upload = model.uploads.get(action.slot);
      if (upload === undefined) return 'nothing to do';
      if (upload.done !== undefined) return 'unknown';
      model.uploads.delete(action.slot);
      return 'cancelled';
    }
    case 'head blob': {
      const [repo, { digest }] = [repositoryAt(action.repo), blobAt(action.blob)];
      if (!model.seesBlob(repo, digest)) return isKeptOut(model, digest) ? 'purged' : 'unknown';
      promiseBlob(model, repo, digest, now);
      return 'found';
    }
    case 'mount': {
      const [repo, from, { digest }] = [repositoryAt(action.repo), repositoryAt(action.from), blobAt(action.blob)];
      if (isKeptOut(model, digest)) return 'blocked';
      if (!model.seesBlob(from, digest)) return 'unknown';
      linkBlob(model, repo, digest, now);
      return 'mounted';
    }
    case 'delete blob':
      return deleteBlob(model, repositoryAt(action.repo), blobAt(action.blob).digest);
    case 'put manifest': {
      const named = action.tags.map((place) => tagAt(place));
      return put(model, repositoryAt(action.repo), manifestAt(action.manifest), named, now);
    }
    case 'head manifest': {
      const [repo, { digest }] = [repositoryAt(action.repo), manifestAt(action.manifest)];
      if (!model.sees(repo, digest)) return 'unknown';
      promiseManifest(model, repo, digest, now);
      return digest;
    }
    case 'head tag': {
      const repo = repositoryAt(action.repo);
      const target = model.target(repo, tagAt(action.tag));
      if (target === undefined) return 'unknown';
      promiseManifest(model, repo, target, now);
      tagAskedFor(model, repo, tagAt(action.tag), now);
      return target;
    }
    case 'pull': {
      const [repo, { digest }] = [repositoryAt(action.repo), manifestAt(action.manifest)];
      const isFound = model.sees(repo, digest);
      pulled(model, repo, digest, now);
      if (action.isWritten) pullsEnd(model, true);
      return isFound ? digest : 'unknown';
    }
    case 'delete manifest':
      return deleteManifest(model, repositoryAt(action.repo), manifestAt(action.manifest).digest, now);
    case 'delete tag':
      return deleteTag(model, repositoryAt(action.repo), tagAt(action.tag), now);
    case 'judge tag':
      return judgeTag(model, repositoryAt(action.repo), tagAt(action.tag), opened.judged);
    case 'retire tag': {
      const retiring = { isForRoom: action.isForRoom, told: opened.retirement };
      return retireTag(model, repositoryAt(action.repo), tagAt(action.tag), retiring, now);
    }
    case 'restore': {
      const repo = repositoryAt(action.repo);
      const digest = action.manifest === null ? undefined : manifestAt(action.manifest).digest;
      if (action.tag !== null) return restoreTag(model, repo, tagAt(action.tag), digest, now);
      return digest === undefined ? 'not-in-trash' : restoreManifest(model, repo, digest, now);
    }
    case 'empty trash': {
      const part =
        action.repo === null
          ? { repo: undefined, tag: undefined, digest: undefined }
          : {
              repo: repositoryAt(action.repo),
              tag: action.tag === null ? undefined : tagAt(action.tag),
              digest: action.manifest === null ? undefined : manifestAt(action.manifest).digest,
            };
      return emptyTrash(model, part, action.isTrial, now);
    }
    case 'pin':
      return pin(model, repositoryAt(action.repo), referenceOf(action), reasonOf(action.reason));
    case 'unpin':
      return unpin(model, repositoryAt(action.repo), referenceOf(action));
    case 'purge':
      return purge(model, digestAt(action), now);
    case 'lift':
      return lift(model, digestAt(action));
    case 'collect':
      return 'collected';
    case 'let time pass':
      return 'passed';
  }
}

function judgeClose(model: Reference, slot: number, blob: number, now: number): Answer {
  const upload = model.uploads.get(slot);
  if (upload === undefined) return 'nothing to do';
  const { digest, bytes } = blobAt(blob);
  if (upload.done !== undefined) {
    if (upload.done !== digest || !model.seesBlob(upload.repo, digest)) {
      return isKeptOut(model, digest) ? 'blocked' : 'unknown';
    }
    linkBlob(model, upload.repo, digest, now);
    return 'created';
  }
  if (restOf(bytes, upload.bytes) === undefined) {
    model.uploads.delete(slot);
    return 'digest-mismatch';
  }
  if (isKeptOut(model, digest)) {
    model.uploads.delete(slot);
    return 'blocked';
  }
  upload.done = digest;
  upload.touchedAt = now;
  linkBlob(model, upload.repo, digest, now);
  return 'created';
}
