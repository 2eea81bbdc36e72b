import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { goTool } from '../install/go-tools.ts';
import { credentials, type S3Server, startS3Server } from './s3-server.ts';

/** Builds versitygw where it is missing, and starts one that keeps objects as files. */
export async function startVersitygw(): Promise<S3Server> {
  const program = await goTool('versitygw');
  return await startS3Server((address, directory) => {
    const objects = join(directory, 'objects');
    const versions = join(directory, 'versions');
    const attributes = join(directory, 'attributes');
    for (const path of [objects, versions, attributes]) mkdirSync(path);
    // Not every file system of a test machine has extended attributes.
    const places = [`--versioning-dir=${versions}`, `--sidecar=${attributes}`];
    return {
      command: [program, '--quiet', `--port=${address}`, '--health=/health', 'posix', ...places, objects],
      environment: { ROOT_ACCESS_KEY: credentials.accessKeyId, ROOT_SECRET_KEY: credentials.secretAccessKey },
      readyPath: '/health',
    };
  });
}
