import pino from 'pino';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Structured messages for the operator. An error goes into the field `err`. */
export interface Log {
  debug(fields: Readonly<Record<string, unknown>>, message: string): void;
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
}

export interface LogOptions {
  readonly level: LogLevel;
  /** `auto` is pretty on a terminal and JSON, a message a line, elsewhere. */
  readonly format: 'auto' | 'pretty' | 'json';
}

/**
 * A log on the standard output. The pretty form is written by this thread: a worker of its own would break the
 * single-file executable. It is loaded only when it is used.
 */
export async function createLog(options: LogOptions): Promise<{ log: Log }> {
  const isPretty = options.format === 'pretty' || (options.format === 'auto' && process.stdout.isTTY);
  const settings = { level: options.level, base: null, timestamp: pino.stdTimeFunctions.isoTime };
  if (!isPretty) return { log: pino(settings) };
  const { default: prettyStream } = await import('pino-pretty');
  return { log: pino(settings, prettyStream({ colorize: process.stdout.isTTY, sync: true })) };
}
