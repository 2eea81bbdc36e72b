import { connect, createServer as createPlainServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type Server as TlsServer, type TLSSocket } from 'node:tls';
import { identityOfCertificate } from '../../access/certificate-identity.ts';
import type { Log } from '../../log/log.ts';
import type { OpenConnections } from '../limits/open-connections.ts';
import type { ServerCertificate } from '../tls/server-certificate.ts';
import { FrontedConnection } from './fronted-connection.ts';
import type { InnerPlace } from './inner-servers.ts';
import { type Certified, directPeer, type InnerPorts, type Peers } from './peers.ts';
import { badCertificateAnswer, tooManyConnectionsAnswer } from './refusals.ts';

/** How a front speaks TLS. */
export interface TlsTerms {
  readonly certificate: ServerCertificate;
  readonly clientCertificates: 'none' | 'optional' | 'required';
  readonly handshakeTimeoutMs: number;
}

export interface FrontOptions {
  readonly hostname: string;
  readonly port: number;
  /** Undefined for plain HTTP. */
  readonly tls: TlsTerms | undefined;
  /** Whether other processes listen there too. */
  readonly isShared: boolean;
  readonly connections: OpenConnections;
  /** Gives a place at an HTTP server behind it. */
  readonly takeInnerPlace: () => InnerPlace;
  readonly peers: Peers;
  readonly log: Log;
  /** Is told of client certificates that let nobody in. */
  readonly onRefused: (certificate: RefusedCertificate) => void;
}

/** A client certificate that was refused. */
export interface RefusedCertificate {
  readonly address: string | undefined;
  /** Whom it names, of which nothing is proven; empty where that is nobody. */
  readonly user: string;
  readonly reason: string;
}

/** How many connections may wait to be accepted; the system may allow less. */
const backlog = 4096;
/** How long the last bytes of an answer may take to leave after the server behind has closed, in ms. */
const flushLimitMs = 60_000;
/** How long whoever is refused may take to read why, in ms. */
const refusalLimitMs = 1000;

/**
 * Accepts connections, ends TLS where it is spoken, and passes the bytes on to an HTTP server behind, which learns from
 * `Peers` whose they are. The runtime's own HTTP server can do neither of what this is for: exchange its certificate
 * while it runs, and tell who has shown which certificate (ADR 14).
 */
export class Front {
  readonly #options: FrontOptions;
  readonly #server: Server;
  readonly #tlsServer: TlsServer | undefined;
  readonly #sockets = new Set<Socket>();
  /** The ends here of the connections to the server behind. */
  readonly #inner = new Set<Socket>();

  private constructor(options: FrontOptions) {
    this.#options = options;
    const { tls } = options;
    if (tls === undefined) {
      this.#server = createPlainServer({ noDelay: true }, (socket) => {
        if (this.#accepted(socket)) this.#passOn(socket, undefined);
      });
    } else {
      this.#tlsServer = createTlsServer(
        { noDelay: true, handshakeTimeout: tls.handshakeTimeoutMs, ...contextOf(tls) },
        (socket) => this.#secured(socket),
      );
      this.#server = this.#tlsServer;
      // The socket is that of the handshake to come.
      this.#server.on('connection', (socket: Socket) => void this.#accepted(socket));
      this.#tlsServer.on('tlsClientError', (error, socket) => {
        this.#options.log.debug({ client: socket.remoteAddress, reason: error.message }, 'a TLS handshake failed');
        if (isAboutCertificate(error)) {
          options.onRefused({ address: socket.remoteAddress, user: '', reason: error.message });
        }
        socket.destroy();
      });
    }
  }

  /** Listens. @throws the system's error where it cannot */
  static async open(options: FrontOptions): Promise<Front> {
    const front = new Front(options);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    front.#server.once('error', reject);
    front.#server.listen(
      { host: options.hostname, port: options.port, backlog, exclusive: true, reusePort: options.isShared },
      resolve,
    );
    await promise;
    front.#server.removeListener('error', reject);
    front.#server.on('error', (error) => options.log.error({ err: error }, 'a connection could not be accepted'));
    return front;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the front does not listen');
    return address.port;
  }

  /** Every connection from now on is shown this certificate; those that are open go on as they are. */
  exchangeCertificate(certificate: ServerCertificate): void {
    const { tls } = this.#options;
    if (tls === undefined || this.#tlsServer === undefined) throw new Error('this front does not speak TLS');
    this.#tlsServer.setSecureContext(contextOf({ ...tls, certificate }));
  }

  /** Whether any bytes of an answer are here that no client has taken yet. */
  get isBusy(): boolean {
    for (const socket of this.#sockets) if (socket.writableLength > 0 && !socket.destroyed) return true;
    for (const inner of this.#inner) if (inner.readableLength > 0) return true;
    return false;
  }

  /** Takes no more connections. */
  stopListening(): void {
    this.#server.close();
  }

  /** Cuts what is still open. */
  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Counts a connection; false where it is one too many, and was refused. */
  #accepted(socket: Socket): boolean {
    socket.on('error', () => socket.destroy());
    const counted = this.#options.connections.open(socket.remoteAddress ?? '');
    if (counted.outcome !== 'open') {
      // Over TLS there is nobody to talk to before the handshake, which is what a limit saves.
      if (this.#tlsServer === undefined) refuse(socket, tooManyConnectionsAnswer(counted.outcome));
      else socket.destroy();
      return false;
    }
    this.#sockets.add(socket);
    socket.once('close', () => {
      counted.close();
      this.#sockets.delete(socket);
    });
    return true;
  }

  #secured(socket: TLSSocket): void {
    if (socket.destroyed) return;
    if (this.#options.tls?.clientCertificates === 'none' || socket.getPeerX509Certificate() === undefined) {
      this.#passOn(socket, undefined);
      return;
    }
    const certificate = socket.getPeerCertificate();
    const named = identityOfCertificate(certificate);
    const identity = socket.authorized ? named : undefined;
    if (identity === undefined) {
      const reason = socket.authorized ? 'it names nobody' : String(socket.authorizationError);
      this.#options.onRefused({ address: socket.remoteAddress, user: named?.name ?? '', reason });
      socket.once('data', () => refuse(socket, badCertificateAnswer(reason)));
      setTimeout(() => socket.destroy(), this.#options.tls?.handshakeTimeoutMs).unref();
      return;
    }
    this.#passOn(socket, { identity, untilMs: Date.parse(certificate.valid_to) });
  }

  #innerPlace(): InnerPlace | undefined {
    try {
      return this.#options.takeInnerPlace();
    } catch (error) {
      this.#options.log.error({ err: error }, 'a connection could not be passed on');
      return undefined;
    }
  }

  /** Makes a connection to a server behind and joins the two, until either ends. */
  #passOn(socket: Socket, certified: Certified | undefined): void {
    const { peers } = this.#options;
    const place = this.#innerPlace();
    if (place === undefined) {
      socket.destroy();
      return;
    }
    const inner = connect({ host: '127.0.0.1', port: place.port, noDelay: true });
    const isEncrypted = this.#tlsServer !== undefined;
    const connection = new FrontedConnection(socket, inner);
    const peer = { ...directPeer(socket.remoteAddress), isEncrypted, certified, connection };
    this.#inner.add(inner);
    let ports: InnerPorts | undefined;
    const forget = (): void => {
      if (ports !== undefined) peers.forget(ports);
      ports = undefined;
    };
    inner.once('connect', () => {
      if (inner.localPort === undefined || socket.destroyed) {
        inner.destroy();
        return;
      }
      ports = { server: place.port, front: inner.localPort };
      peers.add(ports, peer);
      socket.pipe(inner);
      inner.pipe(socket);
    });
    socket.once('close', () => {
      forget();
      inner.destroy();
    });
    inner.once('end', forget);
    inner.once('error', () => {
      forget();
      // Cut, not ended: the client is not to take what came so far for the whole.
      socket.destroy();
    });
    inner.once('close', () => {
      forget();
      place.leave();
      this.#inner.delete(inner);
      socket.end();
      const flushLimit = setTimeout(() => socket.destroy(), flushLimitMs);
      socket.once('close', () => clearTimeout(flushLimit));
    });
  }
}

/** Whether a handshake has failed for the client's certificate, not because what has come is no TLS. */
function isAboutCertificate(error: Error): boolean {
  return 'code' in error && typeof error.code === 'string' && /CERT|CA$|SIGNED/.test(error.code);
}

/** Sends an answer and closes, without waiting for a client that does not. */
function refuse(socket: Socket, answer: string): void {
  socket.end(answer);
  const limit = setTimeout(() => socket.destroy(), refusalLimitMs);
  socket.once('close', () => clearTimeout(limit));
}

function contextOf({ certificate, clientCertificates }: TlsTerms) {
  return {
    cert: certificate.certificatePem,
    key: certificate.keyPem,
    minVersion: 'TLSv1.2',
    requestCert: clientCertificates !== 'none',
    rejectUnauthorized: clientCertificates === 'required',
    ...(certificate.clientAuthoritiesPem === undefined ? {} : { ca: certificate.clientAuthoritiesPem }),
  } as const;
}
