import { ListMultipartUploadsCommand, ListObjectsV2Command, ListObjectVersionsCommand } from '@aws-sdk/client-s3';
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
    let marker: { readonly KeyMarker?: string | undefined; readonly UploadIdMarker?: string | undefined } = {};
    for (;;) {
      const from = marker;
      const page = await this.#connection.call((options) =>
        this.#connection.client.send(
          new ListMultipartUploadsCommand({ ...this.#connection.place, ...from, Prefix: key }),
          options,
        ),
      );
      for (const { Key, UploadId } of page.Uploads ?? []) {
        if (Key === key && UploadId !== undefined) ids.push(UploadId);
      }
      if (page.IsTruncated !== true) return ids;
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
    let marker: { readonly KeyMarker?: string | undefined; readonly VersionIdMarker?: string | undefined } = {};
    for (;;) {
      const from = marker;
      const page = await this.#connection.call((options) =>
        this.#connection.client.send(
          new ListObjectVersionsCommand({ ...this.#connection.place, ...from, Prefix: prefix }),
          options,
        ),
      );
      for (const { Key, VersionId } of [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])]) {
        if (Key !== undefined) found.push({ key: Key, version: VersionId });
      }
      if (page.IsTruncated !== true) return found;
      marker = { KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker };
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
    const add = (key: string | undefined, addedBytes: number, changed: Date | undefined): void => {
      // Some servers begin with the versions of the key that the listing is to begin after.
      if (key === undefined || key === after) return;
      const { sizeBytes = 0, changedAt = 0 } = keys.get(key) ?? {};
      keys.set(key, {
        key,
        sizeBytes: sizeBytes + addedBytes,
        changedAt: Math.max(changedAt, changed?.getTime() ?? 0),
      });
    };
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
      for (const { Key, Size = 0, LastModified } of page.Versions ?? []) add(Key, Size, LastModified);
      for (const { Key, LastModified } of page.DeleteMarkers ?? []) add(Key, 0, LastModified);
      if (keys.size > 0 || page.IsTruncated !== true) break;
      marker = { KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker };
    }
    return [...keys.values()].sort((one, other) => Buffer.compare(Buffer.from(one.key), Buffer.from(other.key)));
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
}
