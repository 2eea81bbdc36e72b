import { expect, test } from 'bun:test';
import {
  dockerManifest,
  dockerManifestList,
  dockerSchema1Manifest,
  dockerSignedSchema1Manifest,
  isImageMediaType,
  isIndexMediaType,
  isNonDistributable,
  isSchema1MediaType,
  ociArtifactManifest,
  ociImageIndex,
  ociImageManifest,
} from './media-types.ts';

const manifests = [
  dockerManifest,
  dockerManifestList,
  dockerSchema1Manifest,
  dockerSignedSchema1Manifest,
  ociArtifactManifest,
  ociImageIndex,
  ociImageManifest,
];

test('every type of manifest is of one kind, and that of an unknown artifact of none', () => {
  expect(manifests.filter(isImageMediaType)).toEqual([dockerManifest, ociImageManifest]);
  expect(manifests.filter(isIndexMediaType)).toEqual([dockerManifestList, ociImageIndex]);
  expect(manifests.filter(isSchema1MediaType)).toEqual([dockerSchema1Manifest, dockerSignedSchema1Manifest]);
});

test('layers that clients do not upload are known in every compression', () => {
  for (const mediaType of [
    'application/vnd.oci.image.layer.nondistributable.v1.tar',
    'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
    'application/vnd.oci.image.layer.nondistributable.v1.tar+zstd',
    'application/vnd.docker.image.rootfs.foreign.diff.tar',
    'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
  ]) {
    expect(isNonDistributable(mediaType)).toBe(true);
  }
  for (const mediaType of [
    'application/vnd.oci.image.layer.v1.tar+gzip',
    'application/vnd.docker.image.rootfs.diff.tar.gzip',
    'application/vnd.oci.image.config.v1+json',
    '',
  ]) {
    expect(isNonDistributable(mediaType)).toBe(false);
  }
});
