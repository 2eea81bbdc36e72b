import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const projectDirectory = join(import.meta.dir, '..', '..');

/** A fenced block of code. */
export interface CodeBlock {
  readonly language: string;
  readonly text: string;
}

/** A page of the project in Markdown. */
export interface Document {
  /** From the root of the project. */
  readonly path: string;
  readonly codeBlocks: readonly CodeBlock[];
  /** Paragraphs, headings and the lines of tables and lists, without the code blocks. */
  readonly paragraphs: readonly string[];
  /** Where links to a part of the page lead: `#how-a-push-travels` without its first character. */
  readonly anchors: ReadonlySet<string>;
}

/** Every page that the project keeps. */
export function readDocuments(): readonly Document[] {
  const paths = ['*.md', '{bench,docs,scripts,src,test}/**/*.md'].flatMap((pattern) =>
    Array.from(new Bun.Glob(pattern).scanSync({ cwd: projectDirectory })),
  );
  return paths.toSorted().map((path) => readDocument(path));
}

export function readDocument(path: string): Document {
  const codeBlocks: CodeBlock[] = [];
  const prose = readFileSync(join(projectDirectory, path), 'utf8').replaceAll(
    /^```(\w*)\n(.*?)^```$/gms,
    (_, language: string, text: string) => {
      codeBlocks.push({ language, text });
      return '';
    },
  );
  const anchors = new Set([...prose.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => anchorOf(heading)));
  return { path, codeBlocks, paragraphs: prose.split(/\n(?:\s*\n|(?=[|#]|- |\d+\. ))/), anchors };
}

/** The targets of a paragraph's links. */
export function linksIn(paragraph: string): string[] {
  return [...paragraph.replaceAll(/`[^`]*`/g, '').matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
}

/** What stands between backticks. */
export function codeIn(paragraph: string): string[] {
  return [...paragraph.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);
}

function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(' ', '-');
}
