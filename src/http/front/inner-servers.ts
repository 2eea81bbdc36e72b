/** A place at a server behind the fronts, for one connection. */
export interface InnerPlace {
  /** Where it listens, on loopback. */
  readonly port: number;
  /** To be called once the connection is over; more often changes nothing. */
  leave(): void;
}

/** A server takes so many: to one port a machine has connections from some 28,000 ports of its own at most. */
const mostPerServer = 20_000;

/**
 * The servers behind the fronts, all of which do the same. There is another one for every 20,000 connections, so that the
 * ports of loopback bound nothing.
 */
export class InnerServers<Server extends { readonly port?: number | undefined }> {
  readonly #open: () => Server;
  readonly #mostPerServer: number;
  readonly #servers: { readonly server: Server; readonly port: number; connections: number }[] = [];

  /** @param open starts a server on a port of loopback */
  constructor(open: () => Server, most = mostPerServer) {
    this.#open = open;
    this.#mostPerServer = most;
    this.#openAnother();
  }

  get servers(): readonly Server[] {
    return this.#servers.map(({ server }) => server);
  }

  /** A place for a connection. @throws the system's error where it needs a server that cannot be opened */
  take(): InnerPlace {
    const one = this.#servers.find(({ connections }) => connections < this.#mostPerServer) ?? this.#openAnother();
    one.connections++;
    let isTaken = true;
    return {
      port: one.port,
      leave: () => {
        if (isTaken) one.connections--;
        isTaken = false;
      },
    };
  }

  #openAnother() {
    const server = this.#open();
    if (server.port === undefined) throw new Error('a server behind the fronts listens on no port');
    const opened = { server, port: server.port, connections: 0 };
    this.#servers.push(opened);
    return opened;
  }
}
