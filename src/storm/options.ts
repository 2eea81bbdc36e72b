/** Where a registry answers: one of its processes, where it has several. */
export interface Door {
  /** `http://127.0.0.1:5000` */
  readonly origin: string;
  /** The value of the Authorization header; undefined where it asks for none. */
  readonly authorization: string | undefined;
}

/** What a storm is asked to do. */
export interface StormOptions {
  /** Where the registry answers, one or more places. */
  readonly doors: readonly Door[];
  readonly durationMs: number;
  /** How many clients work at once, each one thing after the other. */
  readonly clients: number;
  /** Which of the storm's processes this is, from 0. */
  readonly process: number;
  readonly seed: number;
  readonly repositories: number;
  /** How many blobs there are, about. */
  readonly digests: number;
  /** How many more of 6 to 12 MiB each process of the storm has for itself. */
  readonly largeBlobs: number;
  /** How long the registry promises to keep what it has told a client of and nothing uses yet. */
  readonly leaseMs: number;
  /** Whether it is part of the storm that the registry is down now and then. */
  readonly allowDown: boolean;
  /** End as soon as something is wrong. */
  readonly failFast: boolean;
  /** Delete every tag in the end, so that a registry that tidies up is left empty. */
  readonly deleteTags: boolean;
}
