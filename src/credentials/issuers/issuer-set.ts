import { problemLines, repeatedNames } from '../../retention/document-problems.ts';
import { type IssuerDefinition, issuerKeys, issuersSchema, type ServiceIssuer } from './schema.ts';

export type IssuerSetResult =
  { readonly ok: true; readonly set: IssuerSet } | { readonly ok: false; readonly problems: readonly string[] };

/** Whose tokens are believed, as configured. */
export class IssuerSet {
  readonly issuers: readonly IssuerDefinition[];

  private constructor(issuers: readonly IssuerDefinition[]) {
    this.issuers = issuers;
  }

  static readonly none = new IssuerSet([]);

  /** The token service that clients are sent to; undefined where they get tokens from the registry itself. */
  get service(): ServiceIssuer | undefined {
    return this.issuers.find((one) => one.kind === 'tokens');
  }

  /** The names of those whose people and workloads `authenticated` in a rule means too. */
  get vouching(): ReadonlySet<string> {
    return new Set(this.issuers.filter(({ isAuthenticated }) => isAuthenticated).map(({ name }) => name));
  }

  /**
   * Parses what stands under `issuers`. Everything that is wrong is reported, not just the first thing.
   *
   * @param whereIs where a part of it stands, such as `wherry.yaml:12`
   */
  static parse(
    given: unknown,
    whereIs: (path: readonly PropertyKey[]) => string | undefined = () => undefined,
  ): IssuerSetResult {
    const parsed = issuersSchema.safeParse(given);
    if (!parsed.success) {
      return {
        ok: false,
        problems: problemLines(parsed.error.issues, { root: 'issuers', namesIn: () => issuerKeys, whereIs }),
      };
    }
    const problems = [
      ...repeatedNames(parsed.data).map((name) => `issuers: two of them are named ${JSON.stringify(name)}`),
      ...repeatedNames(parsed.data.map(({ issuer }) => ({ name: issuer }))).map(
        (issuer) => `issuers: two of them are the issuer ${JSON.stringify(issuer)}`,
      ),
      ...(parsed.data.filter(({ kind }) => kind === 'tokens').length > 1
        ? ['issuers: two of them are of the kind tokens, and clients can be sent to one only']
        : []),
    ];
    return problems.length > 0 ? { ok: false, problems } : { ok: true, set: new IssuerSet(parsed.data) };
  }
}
