import type { S3Encryption, S3StorageClass } from '../../s3-object-options.ts';

/** Where a registry's objects lie, and how they are written there. */
export interface S3Settings {
  readonly bucket: string;
  /** What all keys begin with: empty, or with a slash at its end. */
  readonly prefix: string;
  /** Undefined: Amazon's own for the region. */
  readonly endpoint: string | undefined;
  /** Undefined: what the environment and the AWS configuration say. */
  readonly region: string | undefined;
  /** Whether the bucket stands in the path of a URL, not in the name of its host. */
  readonly isPathStyle: boolean;
  /** Of the AWS tools' files, which has the credentials; undefined: wherever they are found. */
  readonly profile: string | undefined;
  /** Undefined: as the bucket says. */
  readonly encryption: S3Encryption | undefined;
  /** Undefined: as the bucket says. */
  readonly storageClass: S3StorageClass | undefined;
  /** Of the first parts of an upload; later ones are larger. */
  readonly partBytes: number;
  /** How long the server may accept a request after it was sent; 0 where that is not to be reckoned with. */
  readonly lateWritesMs: number;
  /** How long the URLs hold to which pulls are sent; undefined where the registry sends the bytes itself. */
  readonly redirectMs: number | undefined;
  /** Where those URLs lead; undefined: to the endpoint. */
  readonly redirectEndpoint: string | undefined;
}

/** A part has at least so many bytes; only the last one of an object may have fewer. */
export const leastPartBytes = 5 * 1024 * 1024;
/** So many parts an object has at most. */
export const mostParts = 10_000;
/** After so many parts they become larger, by as much as the first ones are. */
const partsOfOneSize = 500;

/**
 * How large the part of a number is, counted from 1: so that a hundred thousand times the first one's size fits into
 * 10,000 parts, and small blobs take little memory.
 */
export function partBytesOf(number: number, firstBytes: number): number {
  return firstBytes * (1 + Math.floor((number - 1) / partsOfOneSize));
}

/**
 * With how many bytes at least a request ends with a part of this number, where more requests may follow. What is less lies
 * in a piece until more comes: else those who send little at a time would use up the numbers, and end at 50 GiB.
 */
export function leastBytesAtEnd(number: number, firstBytes: number): number {
  return number <= partsOfOneSize ? leastPartBytes : Math.max(leastPartBytes, partBytesOf(number, firstBytes) / 2);
}
