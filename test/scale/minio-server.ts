import { goTool } from '../install/go-tools.ts';
import { credentials, type S3Server, startS3Server } from './s3-server.ts';

/** Builds MinIO where it is missing, and starts a server. */
export async function startMinio(): Promise<S3Server> {
  const program = await goTool('minio');
  return await startS3Server((address, directory) => ({
    command: [program, 'server', '--quiet', `--address=${address}`, '--console-address=127.0.0.1:0', directory],
    environment: {
      MINIO_ROOT_USER: credentials.accessKeyId,
      MINIO_ROOT_PASSWORD: credentials.secretAccessKey,
      // It asks nobody outside for updates.
      MINIO_UPDATE: 'off',
      MINIO_CI_CD: 'on',
    },
    readyPath: '/minio/health/ready',
  }));
}

export type { S3Server, TestBucket } from './s3-server.ts';
