// image-spec media-types.md
export const ociImageManifest = 'application/vnd.oci.image.manifest.v1+json';
export const ociImageIndex = 'application/vnd.oci.image.index.v1+json';
export const ociImageConfig = 'application/vnd.oci.image.config.v1+json';
export const ociEmptyJson = 'application/vnd.oci.empty.v1+json';

// Proposed for version 1.1 of the image specification and withdrawn; clients of that time pushed it.
export const ociArtifactManifest = 'application/vnd.oci.artifact.manifest.v1+json';

// Docker Image Manifest Version 2, Schema 2
export const dockerManifest = 'application/vnd.docker.distribution.manifest.v2+json';
export const dockerManifestList = 'application/vnd.docker.distribution.manifest.list.v2+json';

// Docker Image Manifest Version 2, Schema 1
export const dockerSchema1Manifest = 'application/vnd.docker.distribution.manifest.v1+json';
export const dockerSignedSchema1Manifest = 'application/vnd.docker.distribution.manifest.v1+prettyjws';

/** Layers that are downloaded from their distributor and never uploaded (image-spec layer.md). */
export const ociNonDistributableLayerPrefix = 'application/vnd.oci.image.layer.nondistributable.';
export const dockerForeignLayerPrefix = 'application/vnd.docker.image.rootfs.foreign.';

/** An OCI index or a Docker manifest list. */
export function isIndexMediaType(mediaType: string): boolean {
  return mediaType === ociImageIndex || mediaType === dockerManifestList;
}

/** An OCI or Docker image manifest. */
export function isImageMediaType(mediaType: string): boolean {
  return mediaType === ociImageManifest || mediaType === dockerManifest;
}

/** The manifest of Docker before version 1.10, which this registry refuses. */
export function isSchema1MediaType(mediaType: string): boolean {
  return mediaType === dockerSchema1Manifest || mediaType === dockerSignedSchema1Manifest;
}

/**
 * Whether a layer of this type may be missing from the registry. Only the type decides, never the presence of `urls`
 * (image-spec layer.md, "Non-Distributable Layers"). Compressions and encryptions of a type are suffixes.
 */
export function isNonDistributable(mediaType: string): boolean {
  return mediaType.startsWith(ociNonDistributableLayerPrefix) || mediaType.startsWith(dockerForeignLayerPrefix);
}
