import { byteSize, choice, duration, httpUrl, networksOrAny, repositoryGlobs } from '../setting-types.ts';
import { s3StorageClasses } from '../../s3-object-options.ts';
import { profileName, regionName, s3Encryption } from '../s3-types.ts';
import { setting } from './setting.ts';

export const s3Settings = {
  s3Endpoint: setting({
    name: 's3.endpoint',
    type: httpUrl('aws'),
    default: 'aws',
    description:
      "Where the S3 server answers, such as http://127.0.0.1:9000. With aws it is Amazon's own for the region, or that of " +
      'AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL in the environment, which count as if they were set here. ' +
      'Credentials come from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), from the files of the AWS ' +
      "command line, or from the instance's or the pod's identity.",
  }),
  s3Region: setting({
    name: 's3.region',
    type: regionName,
    default: 'auto',
    description:
      'The region of the bucket. With auto it is what the environment (AWS_REGION, else AWS_DEFAULT_REGION) says; else ' +
      'us-east-1 where an endpoint is given, and where none is, what the AWS configuration says.',
  }),
  s3Profile: setting({
    name: 's3.profile',
    type: profileName,
    default: 'auto',
    description:
      "The profile of the AWS command line's files that has the credentials, and no others are taken then. With auto they come " +
      'from wherever they are found first; [s3.md](s3.md#credentials) has the order.',
  }),
  s3PathStyle: setting({
    name: 's3.pathStyle',
    type: choice(['auto', 'on', 'off']),
    default: 'auto',
    description:
      "Whether the bucket's name stands in the path of its URLs instead of the name of their host. With auto it does where " +
      'an endpoint is given.',
  }),
  s3Encryption: setting({
    name: 's3.encryption',
    type: s3Encryption,
    default: 'bucket',
    description:
      'How the server encrypts what is written. With bucket it does as the bucket is configured; with AES256 by keys of ' +
      'its own; with aws:kms by a key management service, of which a key can be named behind one more colon.',
  }),
  s3StorageClass: setting({
    name: 's3.storageClass',
    type: choice(['bucket', ...s3StorageClasses]),
    default: 'bucket',
    description: 'The storage class of what is written. With bucket it is what the server takes by itself.',
  }),
  s3PartSize: setting({
    name: 's3.partSize',
    type: byteSize({ min: '5MiB', max: '128MiB' }),
    default: '8MiB',
    description:
      'How large the first 500 parts of an upload are; after each 500 they are larger by as much, up to twenty times. An ' +
      'upload takes twice as much memory as its parts are large, and 10 MiB more, at most: 26 MiB by default, and 330 MiB for ' +
      'the largest blob, which is a hundred thousand times as large as the first part.',
  }),
  s3LateWrites: setting({
    name: 's3.lateWrites',
    type: duration({ minMs: 0, maxMs: 7 * 86_400_000 }),
    default: '20m',
    description:
      'How long after the removal of an object a write to it that the network has held back may still arrive. Then it is ' +
      'removed once more, and only then forgotten. S3 servers accept a request for 15 minutes after its signing; the rest ' +
      'is for tries that are still being made, and for clocks that differ. With 0 objects are forgotten at once.',
  }),
  s3Redirect: setting({
    name: 's3.redirect',
    type: choice(['on', 'off']),
    default: 'off',
    description:
      'Whether pulls of blobs are sent to the bucket (307), to URLs that hold for a while. Clients must be able to reach ' +
      'the endpoint, and take an answer from there that has no Docker-Content-Digest, as all known ones do. With off the ' +
      'registry fetches the bytes and sends them itself.',
  }),
  s3RedirectLife: setting({
    name: 's3.redirectLife',
    type: duration({ minMs: 10_000, maxMs: 86_400_000 }),
    default: '10m',
    description:
      'How long those URLs hold. windows.condemned must be as long at least, so that no bytes go while somebody may still ' +
      'come for them; they stay for a minute longer than these at least, for clocks that differ.',
  }),
  s3RedirectEndpoint: setting({
    name: 's3.redirectEndpoint',
    type: httpUrl('same'),
    default: 'same',
    description:
      'Where clients reach the S3 server, for those URLs, if that is elsewhere than where the registry does. With same it ' +
      'is s3.endpoint.',
  }),
  s3RedirectRepositories: setting({
    name: 's3.redirectRepositories',
    type: repositoryGlobs,
    default: 'all',
    description: 'The repositories whose pulls are sent to the bucket; the bytes of others the registry sends itself.',
  }),
  s3RedirectNetworks: setting({
    name: 's3.redirectNetworks',
    type: networksOrAny,
    default: 'any',
    description:
      'The networks of the clients whose pulls are sent to the bucket, such as those from which it can be reached; to ' +
      'others the registry sends the bytes itself.',
  }),
};
