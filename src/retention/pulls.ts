import type { Policy } from './policy.ts';

/** A pull as far as it matters whether it counts. */
export interface Pull {
  readonly method: 'GET' | 'HEAD';
  readonly user: string | undefined;
  /** The robot account, where it was one. */
  readonly robot: string | undefined;
  readonly userAgent: string | undefined;
}

/** Whether a pull moves the pull clock of what it leads to. */
export function countsAsPull(
  { ignorePullsBy: { users, robots, userAgents }, countHeads }: Pick<Policy, 'ignorePullsBy' | 'countHeads'>,
  { method, user, robot, userAgent }: Pull,
): boolean {
  if (method === 'HEAD' && !countHeads) return false;
  return ![[users, user] as const, [robots, robot] as const, [userAgents, userAgent] as const].some(
    ([globs, text]) => text !== undefined && globs.some((glob) => glob.matches(text)),
  );
}
