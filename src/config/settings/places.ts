import { directory, listenAddress, metadataPlace, processCount } from '../setting-types.ts';
import { blobsPlace } from '../s3-types.ts';
import { setting } from './setting.ts';

export const placesSettings = {
  data: setting({
    name: 'data',
    type: directory,
    default: './data',
    description:
      'The directory that holds everything: the database and the blobs, where neither lies elsewhere. It is made when it does not exist. A relative ' +
      'path is relative to the working directory, wherever the setting stands. With SQLite, one wherry at a time can use it, with as many `workers` as it has.',
  }),
  metadata: setting({
    name: 'metadata',
    type: metadataPlace,
    default: 'sqlite',
    description:
      'Where the metadata lies. With sqlite, in the data directory; with the address of a PostgreSQL database (15 or ' +
      'later), such as postgres://wherry:secret@db.example:5432/wherry, many processes can serve one registry; ' +
      '[postgresql.md](postgresql.md) says more.',
  }),
  blobs: setting({
    name: 'blobs',
    type: blobsPlace,
    default: 'directory',
    description:
      'Where the blobs lie. With directory, in the data directory; with the address of a bucket, such as ' +
      's3://registry/blobs, on an S3 server, which has settings of its own below.',
  }),
  workers: setting({
    name: 'workers',
    type: processCount,
    default: '1',
    description:
      'How many processes of this machine serve the registry, on the same port and the same data. auto: as many as the ' +
      'machine has processors. [scaling.md](scaling.md) says what more than one gives, and what each limit means then.',
  }),
  listen: setting({
    name: 'listen',
    type: listenAddress,
    default: '127.0.0.1:5000',
    description:
      'Where the registry listens. The default answers this machine only; 0.0.0.0:5000 answers every IPv4 network that ' +
      'the machine is on. In the file, quote an IPv6 address: "[::1]:5000".',
  }),
};
