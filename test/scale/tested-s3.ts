import { type S3Server, startMinio } from './minio-server.ts';
import { startVersitygw } from './versitygw-server.ts';

/** Which S3 server tests have that hold on each: MinIO where nothing else is said. `npm run test:scale` runs them on both. */
export const s3ServerVariable = 'TEST_S3_SERVER';

const servers: Readonly<Record<string, () => Promise<S3Server>>> = { minio: startMinio, versitygw: startVersitygw };

/** Starts the one that is tested. @throws where the variable names none */
export async function startTestedS3(): Promise<S3Server> {
  const name = process.env[s3ServerVariable] ?? 'minio';
  const start = servers[name];
  if (start === undefined)
    throw new Error(`${s3ServerVariable} is ${name}: take one of ${Object.keys(servers).join(', ')}`);
  return await start();
}
