import type { PolicyDefinition } from '../definition.ts';

/** The registries whose policies can be read. */
export const foreignKinds = ['zot', 'harbor', 'ecr', 'artifact-registry'] as const;

export type ForeignKind = (typeof foreignKinds)[number];

/** Another registry's policies as ours. */
export interface Conversion {
  readonly policies: readonly PolicyDefinition[];
  /** Where the effect differs from what the other registry did, and what could not be translated. */
  readonly remarks: readonly ConversionRemark[];
}

export interface ConversionRemark {
  /** Where in what was given, such as `rules[1]`; undefined for the whole. */
  readonly path: string | undefined;
  readonly message: string;
}

export type ConversionResult =
  { readonly ok: true; readonly conversion: Conversion } | { readonly ok: false; readonly problems: readonly string[] };

export interface ConversionOptions {
  /**
   * The project of Harbor, the repository of ECR or of Artifact Registry that the policy was made for, as it is named
   * here. Without it the policies are for all repositories.
   */
  readonly repository?: string | undefined;
}

/** Holds for whatever is converted. */
export const aboutRails: ConversionRemark = {
  path: undefined,
  message:
    'Rails hold here that are not there: at most 20% of the tags and bytes of a repository go in a day, never the last tag, ' +
    'nothing within 24h of its last push or tagging, and no untagged manifest within its untaggedGrace, which is 30d ' +
    'where it is not set. Set rails for something else.',
};

/** Holds where rules are about untagged images. */
export const aboutUntagged: ConversionRemark = {
  path: undefined,
  message:
    'Untagged manifests are here those that were pushed by digest and never had a tag. What has lost its last tag goes ' +
    'when its time in the trash is over (windows.trash, 72h), whatever rules say; to keep it longer, set that, or pin it.',
};

/** That remark, where any rule of what was converted is about such. */
export function remarksAboutUntagged(policies: readonly PolicyDefinition[]): readonly ConversionRemark[] {
  const isAbout = policies.some(({ rules = [] }) => rules.some(({ tagState = 'tagged' }) => tagState !== 'tagged'));
  return isAbout ? [aboutUntagged] : [];
}

export const aboutTags: ConversionRemark = {
  path: undefined,
  message:
    'Here each tag is judged by itself, there a whole image with all of its tags: where one tag of an image stays and ' +
    'another does not, the image stays under the first.',
};
