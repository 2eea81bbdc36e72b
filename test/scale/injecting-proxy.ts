/** What a proxy does with a request instead of passing it on and its answer back. */
export type Injected =
  /** Answers with an error of the server's, which never sees the request. */
  | { readonly do: 'answer'; readonly status: number; readonly code: string }
  /** Passes the request on, and answers with an error all the same. */
  | { readonly do: 'lose-answer'; readonly status: number; readonly code: string }
  /** Passes the request on, and cuts the connection before its answer. */
  | { readonly do: 'cut' }
  /** Passes only half of the request's body on, and cuts both connections. */
  | { readonly do: 'cut-request' }
  /** Passes the request on with another bit in the middle of its body, and its answer back. */
  | { readonly do: 'damage-request' }
  /** Keeps the request until it is let go, and passes it on then. */
  | { readonly do: 'hold'; readonly until: Promise<unknown> }
  /** Answers with an error of the server's, and passes the request on all the same once it is let go. */
  | { readonly do: 'deliver-late'; readonly status: number; readonly code: string; readonly until: Promise<unknown> }
  /** Keeps the request for so long, and cuts the connection: it never arrives. */
  | { readonly do: 'lose-request'; readonly until: Promise<unknown> }
  /** Passes back only the first bytes of the answer's body, and cuts the connection. */
  | { readonly do: 'cut-body'; readonly afterBytes: number };

/** A request on its way to the S3 server. */
export interface S3Request {
  /** Such as `PUT`. */
  readonly method: string;
  /** Of the object, without the bucket's name. */
  readonly key: string;
  readonly query: URLSearchParams;
  readonly bodyBytes: number;
  readonly headers: Headers;
}

/** Decides about a request; undefined lets it pass. */
export type Inject = (request: S3Request) => Injected | undefined;

/** What operation of S3 a request is. */
export function operationOf({ method, query, key, headers }: S3Request): string {
  const isCopy = method === 'PUT' && headers.has('x-amz-copy-source');
  if (isCopy) return query.has('uploadId') ? 'UploadPartCopy' : 'CopyObject';
  if (method === 'POST' && query.has('uploads')) return 'CreateMultipartUpload';
  if (method === 'POST' && query.has('uploadId')) return 'CompleteMultipartUpload';
  if (method === 'POST' && query.has('delete')) return 'DeleteObjects';
  if (method === 'PUT' && query.has('uploadId')) return 'UploadPart';
  if (method === 'DELETE' && query.has('uploadId')) return 'AbortMultipartUpload';
  if (method === 'GET' && query.has('uploads')) return 'ListMultipartUploads';
  if (method === 'GET' && (query.has('list-type') || query.has('versions'))) return 'ListObjects';
  if (method === 'GET' && key === '') return 'GetBucket';
  return `${method.slice(0, 1)}${method.slice(1).toLowerCase()}Object`;
}

/** Stands between a registry and an S3 server: counts what passes, and does to requests what it is told. */
export class InjectingProxy implements AsyncDisposable {
  readonly requests: S3Request[] = [];
  inject: Inject = () => undefined;
  /** How often it has done something. */
  injections = 0;
  /** What the server has answered, or will, to each request that was passed on late: a status, 0 where it has not answered. */
  readonly lateAnswers: Promise<number>[] = [];
  /** What the server has answered to those requests of which the registry was not given the answer. */
  readonly lostAnswers: { readonly operation: string; readonly status: number }[] = [];
  /** What the server has answered to requests that it got damaged. */
  readonly damaged: { readonly operation: string; readonly status: number }[] = [];
  /** How many requests their sender has given up and sent again while they were kept. */
  sentAgain = 0;
  readonly #server: Bun.Server<undefined>;
  readonly #target: string;

  constructor(target: string) {
    this.#target = target;
    this.#server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      idleTimeout: 255,
      // Else each body that it breaks off is printed.
      development: false,
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      fetch: async (request) => await this.#pass(request),
      error: () => new Response(null, { status: 502 }),
    });
  }

  get endpoint(): string {
    return this.#server.url.origin;
  }

  /** How many requests have come of each operation since the last call. */
  takeCounts(): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const request of this.requests) counts[operationOf(request)] = (counts[operationOf(request)] ?? 0) + 1;
    this.requests.length = 0;
    return counts;
  }

  /** How many bytes of objects and parts were written since the last call of `takeCounts`. */
  get writtenBytes(): number {
    const written = this.requests.filter(({ method }) => method === 'PUT');
    return written.reduce((sum, { bodyBytes }) => sum + bodyBytes, 0);
  }

  async #pass(request: Request): Promise<Response> {
    const { pathname, searchParams: query, search } = new URL(request.url);
    const body = await request.bytes();
    const key = pathname.split('/').slice(2).join('/');
    const { method, headers } = request;
    const seen: S3Request = { method, key, query, bodyBytes: body.byteLength, headers };
    this.requests.push(seen);
    const injected = this.inject(seen);
    if (injected !== undefined) this.injections++;
    if (injected?.do === 'answer') return errorAnswer(injected);
    if (injected?.do === 'hold' || injected?.do === 'lose-request') {
      await injected.until;
      const isSameAgain = (each: S3Request): boolean =>
        each !== seen && each.method === method && each.key === key && each.query.toString() === query.toString();
      if (this.requests.slice(this.requests.indexOf(seen)).some(isSameAgain)) this.sentAgain++;
    }
    if (injected?.do === 'lose-request') {
      return new Response(cutAfter(new Uint8Array()));
    }
    if (injected?.do === 'cut-request') {
      await this.#passHalf(pathname + search, { method, headers, body });
      return new Response(cutAfter(new Uint8Array()));
    }
    if (injected?.do === 'damage-request') {
      const middle = Math.floor(body.byteLength / 2);
      body[middle] = (body[middle] ?? 0) ^ 1;
    }
    const pass = async (): Promise<Response> =>
      // The host is part of what is signed.
      await fetch(this.#target + pathname + search, {
        method,
        headers,
        ...(body.byteLength > 0 && { body }),
        decompress: false,
      });
    if (injected?.do === 'deliver-late') {
      this.lateAnswers.push(passedLate(injected.until, pass));
      return errorAnswer(injected);
    }
    const passed = await pass();
    if (injected?.do === 'cut' || injected?.do === 'lose-answer') {
      this.lostAnswers.push({ operation: operationOf(seen), status: passed.status });
    }
    if (injected?.do === 'damage-request') {
      this.damaged.push({ operation: operationOf(seen), status: passed.status });
    }
    switch (injected?.do) {
      case 'lose-answer':
        await passed.body?.cancel();
        return errorAnswer(injected);
      case 'cut':
        await passed.body?.cancel();
        return new Response(cutAfter(new Uint8Array()));
      case 'cut-body': {
        const bytes = (await passed.bytes()).subarray(0, injected.afterBytes);
        return new Response(cutAfter(bytes), { status: passed.status, headers: passed.headers });
      }
      case 'damage-request':
      case 'hold':
      case undefined:
        return new Response(method === 'HEAD' ? null : await passed.bytes(), {
          status: passed.status,
          headers: passed.headers,
        });
    }
  }

  async #passHalf(
    place: string,
    { method, headers, body }: { readonly method: string; readonly headers: Headers; readonly body: Uint8Array },
  ): Promise<void> {
    const half = cutAfter(body.subarray(0, Math.floor(body.byteLength / 2)));
    try {
      await fetch(this.#target + place, { method, headers, ...(body.byteLength > 0 && { body: half }) });
    } catch {
      // As it is meant to be.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop(true);
  }
}

async function passedLate(until: Promise<unknown>, pass: () => Promise<Response>): Promise<number> {
  await until;
  try {
    const { body, status } = await pass();
    await body?.cancel();
    return status;
  } catch {
    return 0;
  }
}

function errorAnswer({ status, code }: { readonly status: number; readonly code: string }): Response {
  const body = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>injected</Message></Error>`;
  return new Response(body, { status, headers: { 'content-type': 'application/xml' } });
}

/** A body that breaks off. */
function cutAfter(bytes: Uint8Array): ReadableStream<Uint8Array> {
  let isSent = bytes.byteLength === 0;
  return new ReadableStream({
    async pull(controller) {
      if (!isSent) {
        isSent = true;
        controller.enqueue(bytes);
        return;
      }
      await Bun.sleep(0);
      controller.error(new Error('cut by the proxy'));
    },
  });
}
