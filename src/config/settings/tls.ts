import { choice, duration, fileOrNone } from '../setting-types.ts';
import { setting } from './setting.ts';

export const tlsSettings = {
  tlsCertificate: setting({
    name: 'tls.certificate',
    type: fileOrNone,
    default: 'none',
    description:
      "The server's certificate, a PEM file: its own first, then those of the authorities between it and the root. With " +
      'it, listen speaks TLS and nothing else. The file is read again when it changes.',
  }),
  tlsKey: setting({
    name: 'tls.key',
    type: fileOrNone,
    default: 'none',
    description:
      'The private key of tls.certificate, a PEM file without a passphrase. It is read again when it changes.',
  }),
  tlsClientCertificates: setting({
    name: 'tls.clientCertificates',
    type: choice(['none', 'optional', 'required']),
    default: 'none',
    description:
      'Whether clients are asked for a certificate, which says who they are. With optional those without one may come ' +
      'too; with required nobody else is let in. One that tls.clientAuthorities does not vouch for is refused in both.',
  }),
  tlsClientAuthorities: setting({
    name: 'tls.clientAuthorities',
    type: fileOrNone,
    default: 'none',
    description:
      "The authorities that sign clients' certificates, a PEM file. Nobody else's are accepted, not those that the " +
      'system trusts either. It is read again when it changes.',
  }),
  tlsHandshakeTimeout: setting({
    name: 'tls.handshakeTimeout',
    type: duration({ minMs: 100, maxMs: 600_000 }),
    default: '10s',
    description: 'How long a client may take for the handshake of TLS before its connection is closed.',
  }),
};
