import {
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  type ObjectVersion,
} from '@aws-sdk/client-s3';
import type { BucketConnection } from './connection.ts';

/** An object of a listing; a version of it where the bucket keeps them. */
export interface ListedObject {
  readonly key: string;
  readonly version?: string | undefined;
}

/** A key of a listing. */
interface ListedKey {
  readonly key: string;
  readonly sizeBytes: number;
  /** In ms since 1970. */
  readonly changedAt: number;
}

interface ListedVersion extends ListedKey {
  readonly version: string | undefined;
  /** Whether it is what the key stands for now. */
  readonly isLatest: boolean;
}

/** A multipart upload of a listing, which is not finished. */
export interface ListedUpload {
  readonly key: string;
  readonly id: string;
  /** In ms since 1970. */
  readonly begunAt: number;
}

/** What part of a listing is asked for. */
interface ListingPage {
  readonly prefix: string;
  /** The key after which it begins. */
  readonly after?: string;
  /** Whether keys count that only have older versions, or a mark that they were removed. */
  readonly isVersioned: boolean;
}

/** What lies in a bucket: objects, their versions, and multipart uploads that are not finished. */
export class Listings {
  readonly #connection: BucketConnection;

  constructor(connection: BucketConnection) {
    this.#connection = connection;
  }

  /** The unfinished multipart uploads of one key. */
  async uploadsOf(key: string): Promise<readonly string[]> {
    const ids: string[] = [];
    for await (const page of this.uploadsUnder(key))
      ids.push(...page.filter((one) => one.key === key).map(({ id }) => id));
    return ids;
  }

  /** The unfinished multipart uploads under a prefix, a page at a time. */
  async *uploadsUnder(prefix: string): AsyncGenerator<readonly ListedUpload[], void, undefined> {
    let marker: { readonly KeyMarker?: string | undefined; readonly UploadIdMarker?: string | undefined } = {};
    for (;;) {
      const from = marker;
      const page = await this.#connection.call((options) =>
        this.#connection.client.send(
          new ListMultipartUploadsCommand({ ...this.#connection.place, ...from, Prefix: prefix }),
          options,
        ),
      );
      yield (page.Uploads ?? []).flatMap(({ Key: key, UploadId: id, Initiated: begun }) =>
        key === undefined || id === undefined ? [] : [{ key, id, begunAt: begun?.getTime() ?? 0 }],
      );
      if (page.IsTruncated !== true) return;
      marker = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker };
    }
  }

  /** What lies under a prefix; every version of it where `isVersioned` is said. */
  async objectsUnder(prefix: string, isVersioned: boolean): Promise<readonly ListedObject[]> {
    return isVersioned ? await this.#versionsUnder(prefix) : await this.#namesUnder(prefix);
  }

  async #namesUnder(prefix: string): Promise<readonly ListedObject[]> {
    const found: ListedObject[] = [];
    let token: string | undefined;
    do {
      const from = token;
      const page = await this.#connection.call((options) =>
        this.#connection.client.send(
          new ListObjectsV2Command({ ...this.#connection.place, Prefix: prefix, ContinuationToken: from }),
          options,
        ),
      );
      for (const { Key } of page.Contents ?? []) if (Key !== undefined) found.push({ key: Key });
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
    return found;
  }

  async #versionsUnder(prefix: string): Promise<readonly ListedObject[]> {
    const found: ListedObject[] = [];
    for await (const page of this.#versionPages(prefix, undefined)) {
      found.push(...page.map(({ key, version }) => ({ key, version })));
    }
    return found;
  }

  /** The versions of one key that others have taken the place of, a page at a time. */
  async *olderVersionsOf(key: string): AsyncGenerator<readonly ListedObject[], void, undefined> {
    for await (const page of this.#versionPages(key, undefined)) {
      yield page.filter((one) => one.key === key && !one.isLatest).map(({ version }) => ({ key, version }));
    }
  }

  /** Some of the keys under a prefix, in their order; none where there are no more. */
  async page({ prefix, after, isVersioned }: ListingPage): Promise<readonly ListedKey[]> {
    if (isVersioned) return await this.#pageOfVersions(prefix, after);
    const { Contents: contents = [] } = await this.#connection.call((options) =>
      this.#connection.client.send(
        new ListObjectsV2Command({ ...this.#connection.place, Prefix: prefix, StartAfter: after }),
        options,
      ),
    );
    return contents.flatMap(({ Key: key, Size, LastModified }) =>
      key === undefined ? [] : [{ key, sizeBytes: Size ?? 0, changedAt: LastModified?.getTime() ?? 0 }],
    );
  }

  /** Each key once: as large as all of its versions that are listed, and as old as the youngest. */
  async #pageOfVersions(prefix: string, after: string | undefined): Promise<readonly ListedKey[]> {
    const keys = new Map<string, ListedKey>();
    for await (const page of this.#versionPages(prefix, after)) {
      // Some servers begin with the versions of the key that the listing is to begin after.
      for (const { key, sizeBytes: addedBytes, changedAt: changed } of page.filter((one) => one.key !== after)) {
        const { sizeBytes = 0, changedAt = 0 } = keys.get(key) ?? {};
        keys.set(key, { key, sizeBytes: sizeBytes + addedBytes, changedAt: Math.max(changedAt, changed) });
      }
      if (keys.size > 0) break;
    }
    return [...keys.values()].sort((one, other) => Buffer.compare(Buffer.from(one.key), Buffer.from(other.key)));
  }

  /** Versions, and marks that keys were removed, which have no bytes. */
  async *#versionPages(
    prefix: string,
    after: string | undefined,
  ): AsyncGenerator<readonly ListedVersion[], void, undefined> {
    let marker: { readonly KeyMarker?: string | undefined; readonly VersionIdMarker?: string | undefined } = {
      KeyMarker: after,
    };
    for (;;) {
      const from = marker;
      const page = await this.#connection.call((options) =>
        this.#connection.client.send(
          new ListObjectVersionsCommand({ ...this.#connection.place, ...from, Prefix: prefix }),
          options,
        ),
      );
      const listed: readonly Pick<ObjectVersion, 'Key' | 'VersionId' | 'IsLatest' | 'Size' | 'LastModified'>[] = [
        ...(page.Versions ?? []),
        ...(page.DeleteMarkers ?? []),
      ];
      yield listed.flatMap(({ Key: key, VersionId: version, IsLatest: isLatest = true, Size = 0, LastModified }) =>
        key === undefined ? [] : [{ key, version, isLatest, sizeBytes: Size, changedAt: LastModified?.getTime() ?? 0 }],
      );
      if (page.IsTruncated !== true) return;
      marker = { KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker };
    }
  }
}
