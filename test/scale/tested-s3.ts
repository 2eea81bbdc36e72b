import { s3ServerVariable, testedS3Server } from '../pairs/pair.ts';
import { type S3Server, startMinio } from './minio-server.ts';
import { startVersitygw } from './versitygw-server.ts';

const servers: Readonly<Record<string, () => Promise<S3Server>>> = { minio: startMinio, versitygw: startVersitygw };

/** Starts the S3 server that is tested: `npm run test:scale` runs what asks for it on each. @throws where none is named so */
export async function startTestedS3(): Promise<S3Server> {
  const start = servers[testedS3Server];
  if (start === undefined)
    throw new Error(`${s3ServerVariable} is ${testedS3Server}: take one of ${Object.keys(servers).join(', ')}`);
  return await start();
}
