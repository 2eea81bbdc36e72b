import { formatByteSize } from '../../config/byte-size.ts';
import type { OverQuota, QuotaKind, QuotaWarning } from '../../registry/quotas.ts';
import type { Problem } from '../errors.ts';

/** So much of a quota's name is shown: the warnings of an answer may have no more than 4096 bytes. */
const longestNameShown = 200;

/** Why a push is refused, with the figures, and what makes room. */
export function overQuotaProblem({ quota, kind, used, limit, wanted }: OverQuota): Problem {
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
 * one answer to the next, so that clients can show it once.
 */
export function warningHeaders(warnings: readonly QuotaWarning[]): Readonly<Record<string, string>> {
  return warnings.length === 0 ? {} : { warning: warnings.map((warning) => `299 - "${textOf(warning)}"`).join(', ') };
}

function textOf({ quota, kind, soft, hard }: QuotaWarning): string {
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
