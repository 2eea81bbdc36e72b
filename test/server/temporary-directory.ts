import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A directory that goes, with all that is in it, when this is disposed of. */
export class TemporaryDirectory implements Disposable {
  readonly path: string;

  /**
   * @param what is in it, for who finds one that was left
   * @param parent where it is made
   */
  constructor(what: string, parent = tmpdir()) {
    this.path = mkdtempSync(join(parent, `wherry-${what}-`));
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true });
  }
}
