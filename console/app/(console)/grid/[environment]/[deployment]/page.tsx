import type { Metadata } from 'next';
import { GridPage } from '../../../../../src/features/grid/grid-page.tsx';

interface Props {
  readonly params: Promise<{ readonly environment: string; readonly deployment: string }>;
}

export async function generateMetadata({ params }: Props): Promise<Metadata> {
  return { title: `Grid of ${decodeURIComponent((await params).deployment)}` };
}

export default async function Page({ params }: Props) {
  const { environment, deployment } = await params;
  return <GridPage environment={decodeURIComponent(environment)} deployment={decodeURIComponent(deployment)} />;
}
