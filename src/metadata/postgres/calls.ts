/**
 * The calls by which rows change, become visible and durable. A test watches them, holds them back, lets them fail, and ends
 * the process before or after each of them (test/crash): what it does before `send` is before the server has heard of it,
 * and what it does after, when the server has answered and nobody here knows yet.
 */
export interface PostgresCalls {
  /** Sends a statement of a transaction that writes. */
  readonly statement: <T>(send: () => Promise<T>) => Promise<T>;
  /**
   * Commits such a transaction.
   * @param mustLast whether the server answers once it is on its disk
   */
  readonly commit: <T>(send: () => Promise<T>, mustLast: boolean) => Promise<T>;
}

export const postgresCalls: PostgresCalls = {
  statement: (send) => send(),
  commit: (send) => send(),
};
