/** What a robot is called: 1 to 64 lower-case letters, digits, dots, underscores and dashes, the first no dot or dash. */
export type RobotName = string & { readonly __brand: 'RobotName' };

export const robotNameGrammar = '[a-z0-9][a-z0-9._-]{0,63}';

/**
 * What stands before the name where a client asks for a user. No user of a password file is taken for a robot, and a plus
 * means nothing to shells and in credential files, as a dollar sign or a colon would.
 */
const userPrefix = 'robot+';

const wellFormed = new RegExp(`^${robotNameGrammar}$`);

export function parseRobotName(text: string): RobotName | undefined {
  return isRobotName(text) ? text : undefined;
}

/** The user name by which a robot logs in: `robot+ci`. */
export function robotUserName(name: RobotName): string {
  return userPrefix + name;
}

/** Whether a user name is that of a robot, there be one of that name or not. */
export function isRobotUserName(userName: string): boolean {
  return userName.startsWith(userPrefix);
}

/** The robot that logs in by a user name; undefined where that cannot be one's. */
export function robotOfUserName(userName: string): RobotName | undefined {
  return isRobotUserName(userName) ? parseRobotName(userName.slice(userPrefix.length)) : undefined;
}

function isRobotName(text: string): text is RobotName {
  return wellFormed.test(text);
}
