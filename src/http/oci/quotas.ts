import type { Rights } from '../../access/rights.ts';
import { formatByteSize } from '../../config/byte-size.ts';
import type { RepositoryName } from '../../oci/names.ts';
import type { OverQuota, Quota, QuotaKind, QuotaWarning } from '../../registry/quotas.ts';
import type { Problem } from '../errors.ts';

/** So much of a quota's name is shown: the warnings of an answer may have no more than 4096 bytes. */
const longestNameShown = 200;

/** Of a call, who asks, and what is limited. */
interface QuotaAsked {
  readonly registry: {
    readonly quotas: { of(repo: RepositoryName): Pick<Quota, 'isEach' | 'repositories'> | undefined };
  };
  readonly rights: Pick<Rights, 'mayInAll' | 'mayEverywhere'>;
}

/** Whether a client may be told what all the repositories hold together that are under the same quota as one. */
export function seesQuotaOf({ registry, rights }: QuotaAsked, repo: RepositoryName): boolean {
  const quota = registry.quotas.of(repo);
  return (
    quota === undefined || quota.isEach || rights.mayInAll('pull', quota.repositories) || rights.mayEverywhere('admin')
  );
}

/** Why a push is refused, with the figures for whoever may see them, and what makes room. */
export function overQuotaProblem(
  call: QuotaAsked,
  repo: RepositoryName,
  { quota, kind, used, limit, wanted }: OverQuota,
): Problem {
  if (!seesQuotaOf(call, repo)) {
    return {
      code: 'DENIED',
      message: `the quota ${quota} has no room for this, with what other repositories have: ${roomText[kind]}`,
      detail: { quota, kind },
    };
  }
  const figures = `the quota ${quota} allows ${amountText(kind, limit)}, and has ${used} ${kind}`;
  const asked = wanted === undefined ? '' : `; this would be ${wanted} more`;
  return {
    code: 'DENIED',
    message: `${figures}${asked}: ${roomText[kind]}`,
    detail: { quota, kind, used, limit, ...(wanted !== undefined && { wanted }) },
  };
}

const roomText: Readonly<Record<QuotaKind, string>> = {
  bytes:
    'delete images that are not needed, or have the quota raised. What is in the trash counts until it is collected: ' +
    'an operator can end its time there with "wherry trash empty"',
  tags: 'delete tags that are not needed, or have the quota raised; moving a tag is possible',
};

/**
 * The header `Warning` of a push that has gone well (distribution specification, "Warnings"). Its text is the same from
 * one answer to the next, so that clients can show it once. It has the figures for whoever may see them, as a refusal has.
 */
export function warningHeaders(
  call: QuotaAsked,
  repo: RepositoryName,
  warnings: readonly QuotaWarning[],
): Readonly<Record<string, string>> {
  if (warnings.length === 0) return {};
  const textOf = seesQuotaOf(call, repo) ? textWithFigures : textWithoutFigures;
  return { warning: warnings.map((warning) => `299 - "${textOf(warning)}"`).join(', ') };
}

function textWithoutFigures({ quota, kind }: QuotaWarning): string {
  const name = asciiOf(quota).slice(0, longestNameShown);
  return `the quota ${name} has few ${kind} left, with what other repositories have: delete what is not needed`;
}

function textWithFigures({ quota, kind, soft, hard }: QuotaWarning): string {
  const name = asciiOf(quota).slice(0, longestNameShown);
  const refused = hard === undefined ? '' : `, and pushes are refused beyond ${amountText(kind, hard)}`;
  return `the quota ${name} has more than ${amountText(kind, soft)}${refused}: delete what is not needed`;
}

/** What may stand in a quoted string of a header, without a backslash before any of it. */
function asciiOf(text: string): string {
  return text.replaceAll(/[^ !#-[\]-~]/gu, '?');
}

function amountText(kind: QuotaKind, amount: number): string {
  return kind === 'bytes' ? `${formatByteSize(amount)} of blobs` : `${amount} tags`;
}
