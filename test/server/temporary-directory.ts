import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A directory that goes, with all that is in it, when this is disposed of. */
export class TemporaryDirectory implements Disposable {
  readonly path: string;

  /** @param what is in it, for who finds one that was left */
  constructor(what: string) {
    this.path = mkdtempSync(join(tmpdir(), `wherry-${what}-`));
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true });
  }
}
