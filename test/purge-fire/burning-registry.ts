import { Database } from 'bun:sqlite';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../server/free-port.ts';
import { ServerProcess } from '../server/server-process.ts';

/** The process ends when a purge comes to a failure point for the nth time. */
export interface Fault {
  readonly point: string;
  readonly nth: number;
}

/** A registry in a process of its own that a purge may end, and its data directory. */
export class BurningRegistry implements AsyncDisposable {
  readonly #directory = mkdtempSync(join(tmpdir(), 'wherry-purge-fire-'));
  readonly data = join(this.#directory, 'data');
  readonly port: number;
  #server: ServerProcess | undefined;

  private constructor(port: number) {
    this.port = port;
  }

  static async start(fault?: Fault): Promise<BurningRegistry> {
    const registry = new BurningRegistry(freePort());
    try {
      await registry.resume(fault);
      return registry;
    } catch (error) {
      await registry[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Starts it again, on the same port. */
  async resume(fault?: Fault): Promise<void> {
    const environment = {
      FIRE_DATA: this.data,
      FIRE_LISTEN: `127.0.0.1:${this.port}`,
      FIRE_REACHED: join(this.#directory, 'reached'),
      ...(fault !== undefined && { FIRE_POINT: fault.point, FIRE_NTH: String(fault.nth) }),
    };
    const command = [process.execPath, join(import.meta.dir, 'burning-server.ts')] as const;
    this.#server = await ServerProcess.start(this.port, join(this.#directory, 'log'), { command, environment });
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get hasEnded(): boolean {
    return this.#server?.hasEnded !== false;
  }

  /** Asks the admin API for something under /admin/v1. */
  async admin(method: string, path: string, body?: object): Promise<Response> {
    const authorization = `Bearer ${readFileSync(join(this.data, 'admin.token'), 'utf8').trim()}`;
    const init = { method, headers: { authorization }, ...(body && { body: JSON.stringify(body) }) };
    return await fetch(`${this.origin}/admin/v1${path}`, init);
  }

  /** The failure points that purges have reached, in order. */
  reached(): readonly string[] {
    return readFileSync(join(this.#directory, 'reached'), 'utf8').split('\n').slice(0, -1);
  }

  log(): string {
    return readFileSync(join(this.#directory, 'log'), 'utf8');
  }

  /** How many objects are not live, and how many uploads have bytes: what is on its way out. */
  leaving(): number {
    using database = new Database(join(this.data, 'wherry.db'), { readonly: true });
    database.run('pragma busy_timeout = 5000');
    const query = database.query<{ count: number }, []>(
      `select (select count(*) from object where state <> 'live') + (select count(*) from upload where oid is not null) as count`,
    );
    return query.get()?.count ?? 0;
  }

  /** The tables that name a digest in any of their columns. */
  tablesNaming(digest: string): readonly string[] {
    using database = new Database(join(this.data, 'wherry.db'), { readonly: true });
    const tables = database
      .query<{ name: string }, []>(`select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'`)
      .all();
    return tables
      .map(({ name }) => name)
      .filter((name) => {
        const columns = database.query<{ name: string }, []>(`select name from pragma_table_info('${name}')`).all();
        const anyColumn = columns.map((column) => `instr("${column.name}", $digest) > 0`).join(' or ');
        const rows = database.query<object, Record<string, string>>(`select 1 from "${name}" where ${anyColumn}`);
        return rows.get({ $digest: digest }) !== null;
      })
      .toSorted();
  }

  /** The files of its data directory, whatever they are, that have some bytes in them. */
  filesWith(bytes: Uint8Array): readonly string[] {
    if (!existsSync(this.data)) return [];
    return readdirSync(this.data, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((path) => readFileSync(path).includes(bytes));
  }

  /** @returns its exit code */
  async stop(): Promise<number> {
    return (await this.#server?.stop()) ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.kill();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
