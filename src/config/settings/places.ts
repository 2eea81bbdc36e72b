import { directory, listenAddress } from '../setting-types.ts';
import { setting } from './setting.ts';

export const placesSettings = {
  data: setting({
    name: 'data',
    type: directory,
    default: './data',
    description:
      'The directory that holds everything: the database and the blobs. It is made when it does not exist. A relative ' +
      'path is relative to the working directory, wherever the setting stands. One process at a time can use it.',
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
