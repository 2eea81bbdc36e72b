import { expect, test } from 'bun:test';
import { identityOfCertificate, type ShownCertificate } from './certificate-identity.ts';

const certificate: ShownCertificate = {
  subject: { CN: 'ci-runner', O: ['builders', 'staff'] },
  issuer: { CN: 'Clients of Example' },
  subjectaltname: 'DNS:runner.example, URI:spiffe://example/ns/ci/sa/runner, email:ci@example.org, IP Address:10.0.0.1',
  fingerprint256: 'AB:CD:01',
};

test('a certificate names its common name, with its organisations as groups and the rest as claims', () => {
  expect(identityOfCertificate(certificate)).toEqual({
    kind: 'certificate',
    name: 'ci-runner',
    groups: ['certificate:builders', 'certificate:staff'],
    claims: {
      uri: ['spiffe://example/ns/ci/sa/runner'],
      dns: ['runner.example'],
      email: ['ci@example.org'],
      issuer: ['Clients of Example'],
      sha256: ['abcd01'],
    },
  });
});

test.each([
  ['a URI', certificate.subjectaltname, 'spiffe://example/ns/ci/sa/runner'],
  ['a DNS name', 'email:ci@example.org, DNS:runner.example', 'runner.example'],
  ['an e-mail address', 'email:ci@example.org', 'ci@example.org'],
])('without a common name, %s is the name', (_, subjectaltname, name) => {
  expect(identityOfCertificate({ ...certificate, subject: {}, subjectaltname })?.name).toBe(name);
});

test.each([
  ['nothing at all', { subject: {}, subjectaltname: undefined }],
  ['an IP address alone', { subject: {}, subjectaltname: 'IP Address:10.0.0.1' }],
  ['two common names', { subject: { CN: ['admin', 'ci'] } }],
  ['a name that is empty', { subject: { CN: '' } }],
  ['a name with a line break', { subject: { CN: 'ci\nadmin' } }],
  ['a name that reads backwards', { subject: { CN: 'ci\u202enimda' } }],
  ['a name of 257 characters', { subject: { CN: 'a'.repeat(257) } }],
  ['a name in quotes, which hides another', { subject: {}, subjectaltname: 'DNS:"a, DNS:admin"' }],
])('%s names nobody', (_, changed) => {
  expect(identityOfCertificate({ ...certificate, ...changed })).toBeUndefined();
});
