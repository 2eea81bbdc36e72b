import { expect, test } from 'bun:test';
import { HttpConnection, parseAnswer } from './http-connection.ts';

test('an answer is complete only when the last byte of its body has come', () => {
  const text = 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc';
  expect(parseAnswer(text.slice(0, -1))).toBeUndefined();
  expect(parseAnswer(text)).toEqual({ answer: { status: 200, location: undefined }, length: text.length });
});

test('a chunked answer is complete only with its last chunk', () => {
  const text =
    'HTTP/1.1 202 Accepted\r\nlocation: /next?x=1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n';
  expect(parseAnswer(text.slice(0, -2))).toBeUndefined();
  expect(parseAnswer(text)).toEqual({ answer: { status: 202, location: '/next?x=1' }, length: text.length });
});

test('one connection carries a push of several megabytes, then the next request to an absolute location', async () => {
  const seen: string[] = [];
  using server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request) {
      const bytes = (await request.bytes()).length;
      seen.push(`${request.method} ${new URL(request.url).pathname} ${bytes}`);
      return new Response(null, { status: 201, headers: { Location: '/there' } });
    },
  });
  const connection = await HttpConnection.open(server.port ?? 0);
  const body = { bytes: new Uint8Array(5_000_000), mediaType: 'application/octet-stream' };
  expect((await connection.request('PUT', '/here', body)).location).toBe('/there');
  expect((await connection.request('POST', `http://127.0.0.1:${server.port}/v2/x?y=z`)).status).toBe(201);
  connection.close();
  expect(seen).toEqual(['PUT /here 5000000', 'POST /v2/x 0']);
});
