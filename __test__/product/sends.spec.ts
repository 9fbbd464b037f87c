import { testPart } from './part.ts'

testPart('sends')
