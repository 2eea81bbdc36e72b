/** How an S3 server encrypts an object: with keys of its own, or one of a key management service, which may be named. */
export type S3Encryption = { readonly kind: 'AES256' } | { readonly kind: 'aws:kms'; readonly key: string | undefined };

/** The storage classes of Amazon's from which an object can be read at once. */
export const s3StorageClasses = [
  'STANDARD',
  'STANDARD_IA',
  'ONEZONE_IA',
  'INTELLIGENT_TIERING',
  'GLACIER_IR',
  'EXPRESS_ONEZONE',
  'REDUCED_REDUNDANCY',
] as const;

export type S3StorageClass = (typeof s3StorageClasses)[number];
