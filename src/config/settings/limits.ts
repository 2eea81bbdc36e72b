import { byteSizeOrNone, wholeNumber } from '../setting-types.ts';
import { setting } from './setting.ts';

export const limitsSettings = {
  limitsConnections: setting({
    name: 'limits.connections',
    type: wholeNumber({ min: 0, max: 1_000_000 }),
    default: '0',
    description:
      'How many connections may be open at once; more are refused with 503, over TLS closed. 0: as many as the system ' +
      'lets the process have files open. Counting them costs plain HTTP some speed: [performance.md](performance.md) says how much.',
  }),
  limitsConnectionsPerClient: setting({
    name: 'limits.connectionsPerClient',
    type: wholeNumber({ min: 0, max: 1_000_000 }),
    default: '0',
    description:
      'How many connections one address may have open at once, an IPv6 network of 64 bits counting as one; more are ' +
      'refused with 429, over TLS closed. 0: no limit. Addresses in http.trustedProxies have none.',
  }),
  limitsUploadsPerClient: setting({
    name: 'limits.uploadsPerClient',
    type: wholeNumber({ min: 0, max: 1_000_000 }),
    default: '1000',
    description:
      'How many requests of one client may be sending blobs and manifests at once; more are refused with 429. 0: no ' +
      'limit. A client is who has logged in or shown a certificate, else an address.',
  }),
  limitsUploadSessionsPerClient: setting({
    name: 'limits.uploadSessionsPerClient',
    type: wholeNumber({ min: 0, max: 1_000_000 }),
    default: '10000',
    description:
      'How many upload sessions one client may have open, whether anything is being sent to them or not; further ones ' +
      'are refused with 429. One that nobody goes on with ends after windows.upload. 0: no limit.',
  }),
  limitsUploadRatePerClient: setting({
    name: 'limits.uploadRatePerClient',
    type: byteSizeOrNone({ min: '1KiB', max: '1024GiB' }),
    default: 'none',
    description:
      "How many bytes a client may send in a second, on average; once it has sent more than a minute's worth of that " +
      'ahead, its next upload is refused with 429 until that is made up for. What is under way is never cut.',
  }),
  limitsRequestRatePerClient: setting({
    name: 'limits.requestRatePerClient',
    type: wholeNumber({ min: 0, max: 1_000_000 }),
    default: '0',
    description:
      'How many requests a client may make in a second, on average; more are refused with 429. 0: no limit. Health, ' +
      'metrics and the admin API have none.',
  }),
  limitsRequestBurstPerClient: setting({
    name: 'limits.requestBurstPerClient',
    type: wholeNumber({ min: 1, max: 1_000_000 }),
    default: '200',
    description:
      'How many requests a client may make at once that was silent before, where limits.requestRatePerClient is set. An ' +
      'image of ten layers is some 15 requests to pull, 50 to push.',
  }),
};
