import { storageBound } from '../setting-types.ts';
import { setting } from './setting.ts';

export const storageSettings = {
  storageHigh: setting({
    name: 'storage.high',
    type: storageBound('off'),
    default: '90%',
    description:
      'Over this, room is made down to storage.low. A percentage is of the file system that the data directory is on, by ' +
      'whomever it is filled; bytes are those of the registry itself, its blobs and its database. The trash is emptied ' +
      'before its time, oldest first, and the collector hurries. With off nothing goes before its time.',
  }),
  storageLow: setting({
    name: 'storage.low',
    type: storageBound('auto'),
    default: 'auto',
    description:
      'How far room is made once storage.high was passed, in the same unit. With auto it is nine tenths of storage.high.',
  }),
  storageReserve: setting({
    name: 'storage.reserve',
    type: storageBound('auto'),
    default: 'auto',
    description:
      'What has to stay free on the file system. Where less is, new uploads are refused with 507; pulls, deletes, ' +
      'mounts, manifests and uploads under way go on. With auto it is 1 % of the file system, 1 GiB at most.',
  }),
};
