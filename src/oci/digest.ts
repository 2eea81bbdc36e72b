import { quote } from './quote.ts';

/** The algorithms that image-spec descriptor.md, "Registered algorithms" defines; both are verified on push. */
export type DigestAlgorithm = 'sha256' | 'sha512';

/** `sha256:` and 64, or `sha512:` and 128 lower-case hexadecimal digits. */
export type Digest = string & { readonly __brand: 'Digest' };

const hexDigits: Readonly<Record<DigestAlgorithm, number>> = { sha256: 64, sha512: 128 };

/** Known to other implementations, or proposed for registration, but not computed here. */
const knownButUnsupported: ReadonlySet<string> = new Set(['sha384', 'blake3']);

// Anchored and of fixed length, so that there is nothing to backtrack into.
export const digestGrammar = 'sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}';
const wellFormed = new RegExp(`^(?:${digestGrammar})$`);
// image-spec descriptor.md, "Digests": the grammar of any digest. No character can belong to two neighbouring parts.
const wellFormedAlgorithm = /^[a-z0-9]+(?:[+._-][a-z0-9]+)*$/;
const wellFormedEncoding = /^[a-zA-Z0-9=_-]+$/;

function isDigest(text: string): text is Digest {
  return wellFormed.test(text);
}

/** A digest of an algorithm that is supported here, or undefined; {@link describeDigestProblem} says why. */
export function parseDigest(text: string): Digest | undefined {
  return isDigest(text) ? text : undefined;
}

/** Whether content can be addressed by this algorithm here (the spec's `digest-algorithm` parameter, end-4). */
export function isDigestAlgorithm(text: string): text is DigestAlgorithm {
  return text === 'sha256' || text === 'sha512';
}

export function algorithmOf(digest: Digest): DigestAlgorithm {
  return digest.startsWith('sha512:') ? 'sha512' : 'sha256';
}

/** The digest of bytes that are all in memory. */
export function digestOf(algorithm: DigestAlgorithm, bytes: Uint8Array): Digest {
  return digestFromHex(algorithm, Bun.CryptoHasher.hash(algorithm, bytes, 'hex'));
}

/** The digest of bytes that come in pieces. It can be asked for at any time, and more bytes may follow. */
export class DigestHasher {
  readonly algorithm: DigestAlgorithm;
  readonly #hasher: Bun.CryptoHasher;

  constructor(algorithm: DigestAlgorithm) {
    this.algorithm = algorithm;
    this.#hasher = new Bun.CryptoHasher(algorithm);
  }

  update(chunk: Uint8Array): void {
    this.#hasher.update(chunk);
  }

  /** The digest of everything given so far. */
  digest(): Digest {
    // Bun's hasher can be finished only once; its copy can be finished in its place.
    return digestFromHex(this.algorithm, this.#hasher.copy().digest('hex'));
  }
}

function digestFromHex(algorithm: DigestAlgorithm, hex: string): Digest {
  const text = `${algorithm}:${hex}`;
  if (!isDigest(text)) throw new Error(`the hash function returned ${quote(text)}, which is not a digest`);
  return text;
}

/**
 * Says what is wrong with a text for which {@link parseDigest} found no digest, and what to send instead. A digest that
 * is well-formed but of an algorithm that is not supported here is told apart from one that nobody could read.
 */
export function describeDigestProblem(text: string): string {
  const colon = text.indexOf(':');
  if (colon === -1) {
    if (/^[0-9a-f]+$/.test(text) && text.length === hexDigits.sha256) {
      return `${quote(text)} is not a digest, its algorithm is missing: write sha256:${text}`;
    }
    return `${quote(text)} is not a digest: expected an algorithm, a colon and the hash, such as sha256:<64 hexadecimal digits>`;
  }
  const algorithm = text.slice(0, colon);
  const encoded = text.slice(colon + 1);
  if (isDigestAlgorithm(algorithm)) return describeEncodingProblem(text, algorithm, encoded);
  if (isDigestAlgorithm(algorithm.toLowerCase())) {
    return `${quote(text)} is not a digest: write the algorithm in lower case, ${algorithm.toLowerCase()}`;
  }
  if (!wellFormedAlgorithm.test(algorithm)) {
    return `${quote(text)} is not a digest: ${quote(algorithm)} before the colon is not the name of an algorithm; use sha256 or sha512`;
  }
  if (!wellFormedEncoding.test(encoded)) {
    return `${quote(text)} is not a digest: a hash of letters, digits, "=", "_" and "-" must follow the colon`;
  }
  const kind = knownButUnsupported.has(algorithm) ? 'is not supported by' : 'is unknown to';
  return `${quote(text)} is a well-formed digest, but the algorithm ${quote(algorithm)} ${kind} this registry; use sha256 or sha512`;
}

function describeEncodingProblem(text: string, algorithm: DigestAlgorithm, encoded: string): string {
  const expected = hexDigits[algorithm];
  const foreign = encoded.search(/[^0-9a-fA-F]/);
  if (foreign !== -1) {
    const character = quote(String.fromCodePoint(encoded.codePointAt(foreign) ?? 0));
    return `${quote(text)} is not a digest: ${character} is not a hexadecimal digit; a ${algorithm} digest has ${expected} of them, 0-9 and a-f`;
  }
  if (encoded.length !== expected) {
    return `${quote(text)} is not a digest: a ${algorithm} digest has ${expected} hexadecimal digits, this one has ${encoded.length}`;
  }
  if (encoded !== encoded.toLowerCase()) {
    return `${quote(text)} is not a digest: write its hexadecimal digits in lower case`;
  }
  return `${quote(text)} is a valid digest`;
}
