import { resolve } from 'node:path';
import { AuditFile, type AuditFileParts } from '../audit/audit-file.ts';
import { StartupError } from '../startup-error.ts';

/** Opens the file into which events are written too; undefined where there is none. @throws StartupError where it cannot be written */
export async function openAuditFile({
  path,
  ...parts
}: Omit<AuditFileParts, 'path'> & { readonly path: string | undefined }): Promise<AuditFile | undefined> {
  if (path === undefined) return undefined;
  try {
    return await AuditFile.open({ ...parts, path: resolve(path) });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new StartupError(
      `cannot write the audit file ${path} (${reason}): choose another with --audit-file, or see that this user may write it`,
      { cause: error },
    );
  }
}
