/** A manifest of the small world. */
export interface ManifestShape {
  readonly name: string;
  /** Blobs that it needs, by their place. */
  readonly blobs: readonly number[];
  /** Manifests that it lists. */
  readonly children: readonly number[];
  readonly subject: number | undefined;
}

export type Instruction =
  /** HEAD of a blob, and an upload where it is not there. */
  | { readonly do: 'blob'; readonly blob: number }
  /** HEAD of a manifest, and a push by digest where it is not there. */
  | { readonly do: 'child'; readonly manifest: number }
  /** A push under a tag of its own. */
  | { readonly do: 'tag'; readonly manifest: number };

export interface SmallWorld {
  readonly name: string;
  readonly blobs: number;
  readonly manifests: readonly ManifestShape[];
  /** Whether all manifests are there at the beginning, and which are tagged. */
  readonly tagged: readonly number[] | undefined;
  readonly clients: readonly (readonly Instruction[])[];
  /** How many objects are taken away at once. */
  readonly reclaimers: number;
  readonly deletes: readonly { readonly what: 'tag' | 'manifest'; readonly manifest: number }[];
  readonly undoes: readonly number[];
  readonly crashes: number;
  /** Blobs that are purged, each once. */
  readonly purges?: readonly number[];
  /** Whether purges are lifted. */
  readonly lifts?: boolean;
}
