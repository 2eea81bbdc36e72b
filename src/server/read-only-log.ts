import type { Log } from '../log/log.ts';
import { RegistryReadOnlyError } from '../metadata/store.ts';

/**
 * A log in which it is no failure that something could not be changed because the registry is read-only. That it is so, and
 * why, is told once (`ReadOnlyWatch`); what has to wait for its end would else tell of it each time that it tries.
 */
export function readOnlyLog(log: Log): Log {
  return {
    debug: (fields, message) => log.debug(fields, message),
    info: (fields, message) => log.info(fields, message),
    warn: (fields, message) => (isExpected(fields) ? log.debug(fields, message) : log.warn(fields, message)),
    error: (fields, message) => (isExpected(fields) ? log.debug(fields, message) : log.error(fields, message)),
    child: (fields) => readOnlyLog(log.child(fields)),
  };
}

function isExpected({ err }: Readonly<Record<string, unknown>>): boolean {
  return err instanceof RegistryReadOnlyError;
}
