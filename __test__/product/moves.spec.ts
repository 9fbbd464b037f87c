import { testPart } from './part.ts'

testPart('moves')
