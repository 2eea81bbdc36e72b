import pino from 'pino';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

type Fields = Readonly<Record<string, unknown>>;

/** Structured messages for the operator. An error goes into the field `err`, which shows its message and its stack. */
export interface Log {
  debug(fields: Fields, message: string): void;
  info(fields: Fields, message: string): void;
  warn(fields: Fields, message: string): void;
  error(fields: Fields, message: string): void;
  /** A log that puts `fields` into each of its messages. */
  child(fields: Fields): Log;
}

/** Where lines go; each comes whole, with its line break. */
export interface LogStream {
  readonly isTTY?: boolean;
  write(line: string): void;
}

/**
 * A log on the standard output, or on `stream`. JSON has one message a line; `auto` is pretty on a terminal and JSON
 * elsewhere. Lines are written when the call returns, by this thread: what was logged before a crash is there, and a
 * single-file executable has no file that a worker could be started from.
 */
export async function createLog(options: {
  readonly level: LogLevel;
  readonly format: 'auto' | 'pretty' | 'json';
  readonly stream?: LogStream;
}): Promise<Log> {
  const { level, format } = options;
  const output = options.stream ?? pino.destination({ dest: 1, sync: true });
  const isTerminal = (options.stream ?? process.stdout).isTTY === true;
  const isPretty = format === 'pretty' || (format === 'auto' && isTerminal);
  const log: Log = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    isPretty ? await prettyStream(output, isTerminal) : output,
  );
  return log;
}

/** What a client has sent may steer a terminal by these, which JSON leaves as they are. */
const steering = /[\u007f-\u009f\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** Its module is loaded only when it is used. */
async function prettyStream(output: LogStream, isColored: boolean): Promise<LogStream> {
  const { prettyFactory } = await import('pino-pretty');
  const prettify = prettyFactory({ colorize: isColored, singleLine: true, translateTime: 'SYS:HH:MM:ss.l' });
  return {
    write(line) {
      output.write(prettify(line).replace(steering, escaped));
    },
  };
}
