/** Who pulls, as far as it matters whether that counts. */
export interface Puller {
  readonly user: string | undefined;
  /** The robot account, where it is one. */
  readonly robot: string | undefined;
  readonly userAgent: string | undefined;
}

/** What tells some texts from others, such as a glob. */
export interface Matcher {
  matches(text: string): boolean;
}

/** What of a policy says which pulls count. */
export interface CountedPulls {
  readonly ignorePullsBy: {
    readonly users: readonly Matcher[];
    readonly robots: readonly Matcher[];
    readonly userAgents: readonly Matcher[];
  };
  readonly countHeads: boolean;
}

/** Whether a pull moves the pull clock of what it leads to. */
export function countsAsPull(
  { ignorePullsBy: { users, robots, userAgents }, countHeads }: CountedPulls,
  puller: Puller,
  method: 'GET' | 'HEAD',
): boolean {
  if (method === 'HEAD' && !countHeads) return false;
  if (isOneOf(users, puller.user) || isOneOf(robots, puller.robot)) return false;
  // Only then is the user agent looked at, which a server has to look for.
  return userAgents.length === 0 || !isOneOf(userAgents, puller.userAgent);
}

function isOneOf(matchers: readonly Matcher[], text: string | undefined): boolean {
  return text !== undefined && matchers.some((matcher) => matcher.matches(text));
}
