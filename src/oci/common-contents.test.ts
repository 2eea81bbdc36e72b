import { expect, test } from 'bun:test';
import { gunzipSync } from 'bun';
import { isCommonContent } from './common-contents.ts';
import { digestOf, parseDigest } from './digest.ts';

test('contents that tell nothing are known by their digests', () => {
  for (const text of [
    'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a',
    'sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef',
    'sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4',
    'sha256:4f4fb700ef54461cfa02571ae0db9a0dc1e0cdb5577484a6d75e68dc38e8acc1',
  ]) {
    const digest = parseDigest(text);
    expect(digest !== undefined && isCommonContent(digest)).toBeTrue();
  }
  expect(isCommonContent(digestOf('sha256', Buffer.from('{"a":1}')))).toBeFalse();
  expect(gunzipSync(Buffer.from('H4sIAAAAAAAA/2IYBaNgFIxYAAgAAP//Lq+17wAEAAA=', 'base64'))).toEqual(
    new Uint8Array(1024),
  );
});
