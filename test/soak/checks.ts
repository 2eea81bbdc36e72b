/** What a soak has to show, one after the other; a line each. */
export class Checks {
  #passed = 0;
  #failed = 0;

  check(what: string, isTrue: boolean, detail: string | number = ''): void {
    if (isTrue) this.#passed++;
    else this.#failed++;
    console.log(`${isTrue ? 'pass' : 'FAIL'}  ${what}${detail === '' ? '' : `: ${detail}`}`);
  }

  get hasFailed(): boolean {
    return this.#failed > 0;
  }

  /** The last line, as `.ci/run` reads it. */
  get sum(): string {
    return `${this.#passed} passed, ${this.#failed} failed`;
  }
}

export function mib(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MiB`;
}
