/** What a storm is asked to do. */
export interface StormOptions {
  /** Where the registry answers: `http://127.0.0.1:5000` */
  readonly origin: string;
  /** The value of the Authorization header; undefined where the registry asks for none. */
  readonly authorization: string | undefined;
  readonly durationMs: number;
  /** How many clients work at once, each one thing after the other. */
  readonly clients: number;
  /** Which of the storm's processes this is, from 0. */
  readonly process: number;
  readonly seed: number;
  readonly repositories: number;
  /** How many blobs there are, about. */
  readonly digests: number;
  /** How long the registry promises to keep what it has told a client of and nothing uses yet. */
  readonly leaseMs: number;
  /** Whether it is part of the storm that the registry is down now and then. */
  readonly allowDown: boolean;
  /** End as soon as something is wrong. */
  readonly failFast: boolean;
  /** Delete every tag in the end, so that a registry that tidies up is left empty. */
  readonly deleteTags: boolean;
}
