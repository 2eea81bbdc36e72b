import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { goTool } from '../install/go-tools.ts';
import { credentials, type S3Server, startS3Server } from './s3-server.ts';

export interface MinioServer extends S3Server {
  /**
   * How many multipart uploads are unfinished, in all buckets, by what lies on its disk: after a restart, it lists only those
   * that it is asked for by their key.
   */
  unfinishedUploads(): number;
}

/** The name of the only key of its key management service. */
export const minioKey = 'of-wherry';

/** Builds MinIO where it is missing, and starts a server, whose data directory it makes in `parent`. @param keys who may use it */
export async function startMinio(parent?: string, keys = credentials): Promise<MinioServer> {
  const program = await goTool('minio');
  const server = await startS3Server(
    (address, directory) => ({
      command: [program, 'server', '--quiet', `--address=${address}`, '--console-address=127.0.0.1:0', directory],
      environment: {
        MINIO_ROOT_USER: keys.accessKeyId,
        MINIO_ROOT_PASSWORD: keys.secretAccessKey,
        // It encrypts what it is asked to, and nothing else.
        MINIO_KMS_SECRET_KEY: `${minioKey}:${Buffer.alloc(32, 1).toString('base64')}`,
        // It asks nobody outside for updates.
        MINIO_UPDATE: 'off',
        MINIO_CI_CD: 'on',
      },
      readyPath: '/minio/health/ready',
    }),
    parent,
    keys,
  );
  return {
    ...server,
    unfinishedUploads() {
      const uploads = join(server.directory, '.minio.sys', 'multipart');
      return readdirSync(uploads, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('/xl.meta'))
        .length;
    },
  };
}

export type { S3Server, TestBucket } from './s3-server.ts';
