const signatureTypes =
  /^application\/(?:vnd\.dev\.cosign\.artifact\.sig\.|vnd\.cncf\.notary\.signature$|vnd\.dev\.sigstore\.bundle\b)/;

/** Whether what is about a manifest is a signature of it, by its artifact type. */
export function isSignatureType(artifactType: string | null): boolean {
  return artifactType !== null && signatureTypes.test(artifactType);
}
