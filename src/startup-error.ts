/** What keeps the registry from starting is the operator's to mend: the message says how. */
export class StartupError extends Error {
  override readonly name = 'StartupError';
}
