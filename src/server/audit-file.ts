import { resolve } from 'node:path';
import { AuditFileTurn, type AuditFileTurnParts } from '../audit/audit-file-turn.ts';
import { StartupError } from '../startup-error.ts';

/** Opens the file into which events are written too; undefined where there is none. @throws StartupError where it cannot be written */
export async function openAuditFile({
  path,
  ...parts
}: Omit<AuditFileTurnParts, 'path'> & { readonly path: string | undefined }): Promise<AuditFileTurn | undefined> {
  if (path === undefined) return undefined;
  try {
    return await AuditFileTurn.open({ ...parts, path: resolve(path) });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new StartupError(
      `cannot write the audit file ${path} (${reason}): choose another with --audit-file, or see that this user may write it and its directory`,
      { cause: error },
    );
  }
}
