/** What the process ends with. */
export const exitCodes = {
  success: 0,
  /** It could not do what it was asked to. */
  failure: 1,
  /** It was asked for something that makes no sense: an unknown command, a bad flag or setting. */
  usage: 2,
} as const;
