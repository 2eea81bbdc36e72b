import type { RepositoryName, TagName } from '../../src/oci/names.ts';
import type { Reference as TagOrDigest } from '../../src/oci/reference.ts';
import type { Target } from '../../src/oci/target.ts';
import { repositoryFacts } from '../../src/pruning/item-facts.ts';
import { RepositoryGraph } from '../../src/pruning/repository-graph.ts';
import { anyClient } from '../../src/registry/actor.ts';
import { deleteBlob, headBlobForPush } from '../../src/registry/blob.ts';
import { deleteManifest, removeTag } from '../../src/registry/manifests/delete.ts';
import { getManifest, headManifestForPush } from '../../src/registry/manifests/get.ts';
import { putManifest } from '../../src/registry/manifests/put.ts';
import { mountBlob } from '../../src/registry/mount.ts';
import { type Pin, pin, unpin } from '../../src/registry/pin.ts';
import { unconditional } from '../../src/registry/precondition.ts';
import { purge } from '../../src/registry/purges/purge.ts';
import { liftPurge } from '../../src/registry/purges/lift.ts';
import type { Registry } from '../../src/registry/registry.ts';
import { restore } from '../../src/registry/trash/restore.ts';
import { type Retirable, retire } from '../../src/registry/retire.ts';
import { emptyTrash } from '../../src/registry/trash/trash.ts';
import { appendToUpload } from '../../src/registry/uploads/append.ts';
import { closeUpload } from '../../src/registry/uploads/close.ts';
import { openUpload } from '../../src/registry/uploads/open.ts';
import { cancelUpload } from '../../src/registry/uploads/status.ts';
import { pushWholeBlob } from '../../src/registry/uploads/whole.ts';
import { type Answer, emptiedAnswer, movedOnAnswer, restoredAnswer } from './answers.ts';
import { chunkOf, nextChunk, restOf } from './chunks.ts';
import { blobAt, digestAt, manifestAt, reasonOf, referenceOf, repositoryAt, tagAt } from './places.ts';
import type { Reference } from './reference/reference.ts';
import { judgementKey } from './reference/retire.ts';
import type { Action, Place } from './schedule.ts';
import type { World } from './world.ts';

/** What an action has found out that no model could know. */
export interface Opened {
  /** Whatever the outcome of an upload's opening was called. */
  id: string | undefined;
  /** As what a tag was seen. */
  judged?: Retirable | undefined;
  /** What became of a tag that was to go. */
  retirement?: Answer | undefined;
}

/** Has the registry do it. What it is to be done to, the model knows. */
export async function perform(world: World, model: Reference, action: Action, opened: Opened): Promise<Answer> {
  const { registry } = world;
  switch (action.do) {
    case 'push blob': {
      const { digest, bytes } = blobAt(action.blob);
      const repo = repositoryAt(action.repo);
      return (await pushWholeBlob(registry, { repo, digest, ...chunkOf(bytes) })).outcome;
    }
    case 'open upload':
      opened.id = await openUpload(registry, repositoryAt(action.repo), 'sha256');
      return 'opened';
    case 'send chunk': {
      const upload = model.uploads.get(action.slot);
      if (upload === undefined) return 'nothing to do';
      const { repo, id } = upload;
      const chunk = nextChunk(upload.bytes, blobAt(action.blob).bytes);
      return (await appendToUpload(registry, { repo, id, ...chunkOf(chunk), isLast: false })).outcome;
    }
    case 'close upload': {
      const upload = model.uploads.get(action.slot);
      if (upload === undefined) return 'nothing to do';
      const { repo, id } = upload;
      const { digest, bytes } = blobAt(action.blob);
      const rest = restOf(bytes, upload.bytes) ?? new Uint8Array();
      return (await closeUpload(registry, { repo, id, digest, ...chunkOf(rest) })).outcome;
    }
    case 'cancel upload': {
      const upload = model.uploads.get(action.slot);
      if (upload === undefined) return 'nothing to do';
      return (await cancelUpload(registry, upload.repo, upload.id)).outcome;
    }
    case 'head blob':
      return (await headBlobForPush(registry, repositoryAt(action.repo), blobAt(action.blob).digest)).outcome;
    case 'mount': {
      const [repo, from] = [repositoryAt(action.repo), repositoryAt(action.from)];
      const mounted = await mountBlob(registry, { repo, from, digest: blobAt(action.blob).digest });
      if (mounted.outcome === 'blocked') return mounted.outcome;
      return mounted.outcome === 'admitted' ? 'mounted' : 'unknown';
    }
    case 'delete blob':
      return (await deleteBlob(registry, repositoryAt(action.repo), blobAt(action.blob).digest)).outcome;
    case 'put manifest': {
      const { digest, bytes, mediaType } = manifestAt(action.manifest);
      const named = action.tags.map((place) => tagAt(place));
      const [tag] = named;
      const put = await putManifest(registry, {
        repo: repositoryAt(action.repo),
        reference: tag === undefined ? { kind: 'digest', digest } : { kind: 'tag', tag },
        tags: named,
        precondition: unconditional,
        bytes,
        contentType: mediaType,
      });
      return answerOf(put);
    }
    case 'head manifest':
      return await head(world, repositoryAt(action.repo), {
        kind: 'digest',
        digest: manifestAt(action.manifest).digest,
      });
    case 'head tag':
      return await head(world, repositoryAt(action.repo), { kind: 'tag', tag: tagAt(action.tag) });
    case 'pull': {
      const { digest } = manifestAt(action.manifest);
      const found = await getManifest(registry, repositoryAt(action.repo), { kind: 'digest', digest });
      if (action.isWritten) await registry.pulls.flush();
      return found?.digest ?? 'unknown';
    }
    case 'delete manifest': {
      const { digest } = manifestAt(action.manifest);
      return answerOf(await deleteManifest(registry, repositoryAt(action.repo), digest, unconditional));
    }
    case 'delete tag':
      return answerOf(await removeTag(registry, repositoryAt(action.repo), tagAt(action.tag), unconditional));
    case 'judge tag':
      opened.judged = await seenTag(registry, repositoryAt(action.repo), tagAt(action.tag));
      return opened.judged === undefined ? 'unknown' : 'judged';
    case 'retire tag': {
      const repo = repositoryAt(action.repo);
      const judged = model.judgements.get(judgementKey(repo, tagAt(action.tag)));
      if (judged === undefined) return 'nothing to do';
      const retired = await retire(registry, { repo, items: [judged], actor, isForRoom: action.isForRoom });
      opened.retirement = retired.outcome === 'retired' ? retired.retirements.join() : retired.outcome;
      return opened.retirement;
    }
    case 'restore': {
      const restored = await restore(registry, { target: targetOf(action, repositoryAt(action.repo)), actor });
      if (restored.outcome === 'restored') return restoredAnswer(restored);
      return restored.outcome === 'moved-on' ? movedOnAnswer(restored.digest, restored.current) : restored.outcome;
    }
    case 'empty trash': {
      const target = action.repo === null ? undefined : targetOf(action, repositoryAt(action.repo));
      const emptied = await emptyTrash(registry, { target, actor, isTrial: action.isTrial });
      return emptiedAnswer(emptied.manifests, emptied.tags);
    }
    case 'pin': {
      const reason = reasonOf(action.reason);
      const to = { repo: repositoryAt(action.repo), reference: referenceOf(action), reason, actor };
      return (await pin(registry, to)).outcome;
    }
    case 'unpin': {
      const isUnpinned = await unpin(registry, {
        repo: repositoryAt(action.repo),
        reference: referenceOf(action),
        actor,
      });
      return isUnpinned ? 'unpinned' : 'unknown';
    }
    case 'purge': {
      const named = { digests: [digestAt(action)], images: [], withShared: false, isShredding: false };
      return (await purge(registry, { ...named, reason: 'it is a secret', actor })).outcome;
    }
    case 'lift':
      return (await liftPurge(registry, { digests: [digestAt(action)], reason: 'it is none', actor })).outcome;
    case 'collect':
      await world.collectSome(action.reviews);
      return 'collected';
    case 'let time pass':
      world.clock.advance(action.ms);
      return 'passed';
  }
}

const actor = anyClient;

/** A tag as a retention policy sees it, which writes the pulls first. */
async function seenTag(registry: Registry, repo: RepositoryName, tag: TagName): Promise<Retirable | undefined> {
  await registry.pulls.flush();
  const graph = await RepositoryGraph.read(registry.metadata, repo, registry.immutability);
  const context = { descriptions: new Map(), now: registry.clock.now(), leaseMs: registry.windows.leaseMs };
  const found = repositoryFacts(graph, context).facts.tags.find(({ name }) => name === tag);
  if (found === undefined || found.pushedAt === null) return undefined;
  const { digest, pushedAt, taggedAt, pulledAt } = found;
  return { tag, digest, pushedAt, taggedAt, pulledAt, reason: 'a model has judged it', freesBytes: 0 };
}

/** Which kind of pin it is that refuses something. */
function answerOf(outcome: { readonly outcome: string; readonly pin?: Pin }): Answer {
  return outcome.pin === undefined ? outcome.outcome : `pinned by ${outcome.pin.reference?.kind ?? 'repository'}`;
}

function targetOf({ tag, manifest }: { tag: Place; manifest: Place }, repo: RepositoryName): Target {
  return {
    repo,
    tag: tag === null ? undefined : tagAt(tag),
    digest: manifest === null ? undefined : manifestAt(manifest).digest,
  };
}

async function head(world: World, repo: RepositoryName, reference: TagOrDigest): Promise<Answer> {
  return (await headManifestForPush(world.registry, repo, reference))?.digest ?? 'unknown';
}
